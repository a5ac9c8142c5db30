import assert from "node:assert/strict";
import { test } from "node:test";

import { Api, RequestError, fileName, isAborted } from "../../../../src/keepsight/apps/annotator/page/api.js";
import { EventStream, eventsAddress } from "../../../../src/keepsight/apps/annotator/page/events.js";
import { Refresher } from "../../../../src/keepsight/apps/annotator/page/refresher.js";

/**
 * @param {number} status
 * @param {string} body
 */
function answering(status, body) {
    /** @type {{ address: string, options: RequestInit }[]} */
    const asked = [];
    const api = new Api(async (address, options = {}) => {
        asked.push({ address: String(address), options });
        return new Response(body, { status });
    });
    return { api, asked };
}

test("a refusal carries the server's own sentence", async () => {
    const { api } = answering(409, '{"error": "fish is locked. Unlock it first."}');
    await assert.rejects(api.undo(), {
        name: "RequestError",
        status: 409,
        message: "fish is locked. Unlock it first.",
    });
});

test("a refusal that is not the server's own says its number", async () => {
    for (const body of ["<html>Bad gateway</html>", "", '{"detail": 1}', "null"]) {
        await assert.rejects(answering(502, body).api.undo(), /502/);
    }
});

test("no answer is told apart from a refusal, and from a request called off", async () => {
    const gone = new Api(async () => {
        throw new TypeError("fetch failed");
    });
    await assert.rejects(gone.project(), (error) => error instanceof RequestError && error.status === 0);
    const off = new Api(async () => {
        throw new DOMException("off", "AbortError");
    });
    await assert.rejects(off.project(), isAborted);
});

test("an answer that breaks off is told in our words, one called off is not", async () => {
    /** @param {Error} error @returns {Api} */
    const breaking = (error) => {
        const body = () => new ReadableStream({ pull: (stream) => stream.error(error) });
        return new Api(async () => new Response(body()));
    };
    const signal = new AbortController().signal;
    /** @type {((api: Api) => Promise<unknown>)[]} */
    const requests = [
        (api) => api.undo(),
        (api) => api.frame(3, "f", signal),
        (api) => api.exportFile("cvat", signal),
        (api) => api.importFile("cvat", new Blob(["a"])),
    ];
    for (const request of requests) {
        await assert.rejects(request(breaking(new TypeError("network error"))), {
            ...{ name: "RequestError", status: 0 },
            message: /^The server's answer broke off\./,
        });
        await assert.rejects(request(breaking(new DOMException("off", "AbortError"))), isAborted);
    }
    await assert.rejects(answering(200, '{"revision": ').api.undo(), /broke off/);
});

test("what is said goes out as the contract has it", async () => {
    const { api, asked } = answering(200, '{"revision": 3}');
    await api.prompt(4, 12, { points: [[1.5, 2]], labels: [0], box: null, replace: false });
    await api.takeBackPrompt(4, 12);
    await api.cancelRun(false);
    const [prompt, back, cancel] = asked;
    assert.equal(prompt.address, "/api/objects/4/prompt");
    assert.equal(prompt.options.method, "POST");
    assert.deepEqual(JSON.parse(String(prompt.options.body)), {
        frame: 12,
        points: [[1.5, 2]],
        labels: [0],
        box: null,
        replace: false,
    });
    assert.equal(back.address, "/api/objects/4/prompt?frame=12");
    assert.equal(back.options.body, undefined);
    assert.deepEqual(JSON.parse(String(cancel.options.body)), { keep: false });
});

test("a file's name is read from the answer, whichever way it is written", () => {
    assert.equal(fileName(null), null);
    assert.equal(fileName("attachment"), null);
    assert.equal(fileName('attachment; filename="clip.xml"'), "clip.xml");
    assert.equal(fileName("attachment; filename=clip.xml"), "clip.xml");
    assert.equal(fileName("attachment; filename*=UTF-8''b%C3%A4r.zip"), "bär.zip");
});

class FakeSocket {
    readyState = 0;
    /** @type {((message: { data: string }) => void) | null} */
    onmessage = null;
    /** @type {(() => void) | null} */
    onclose = null;

    /** @param {object} event */
    say(event) {
        this.readyState = 1;
        this.onmessage?.({ data: JSON.stringify(event) });
    }

    close() {
        this.readyState = 3;
        this.onclose?.();
    }
}

function streamed() {
    /** @type {FakeSocket[]} */
    const sockets = [];
    /** @type {string[]} */
    const heard = [];
    /** @type {boolean[]} */
    const states = [];
    const stream = new EventStream({
        open: () => {
            const socket = new FakeSocket();
            sockets.push(socket);
            return /** @type {WebSocket} */ (/** @type {unknown} */ (socket));
        },
        onevent: (event) => heard.push(event.type),
        onstate: (live) => states.push(live),
    });
    return { stream, sockets, heard, states };
}

test("a connection that breaks is made again, with longer pauses, and short ones once it held", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { stream, sockets, states, heard } = streamed();
    stream.connect();
    sockets[0].say({ type: "hello", revision: 1 });
    assert.deepEqual(states, [true]);
    sockets[0].close();
    assert.deepEqual(states, [true, false]);
    for (const pause of [500, 1000, 2000, 4000, 5000, 5000]) {
        const before = sockets.length;
        context.mock.timers.tick(pause - 1);
        assert.equal(sockets.length, before);
        context.mock.timers.tick(1);
        assert.equal(sockets.length, before + 1);
        sockets[before].close();
    }
    context.mock.timers.tick(5000);
    sockets[sockets.length - 1].say({ type: "hello", revision: 2 });
    sockets[sockets.length - 1].close();
    const before = sockets.length;
    context.mock.timers.tick(500);
    assert.equal(sockets.length, before + 1);
    assert.deepEqual(heard, ["hello", "hello"]);
});

test("trying at once does not open two connections", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { stream, sockets } = streamed();
    stream.connect();
    stream.connect();
    assert.equal(sockets.length, 1);
    sockets[0].close();
    stream.connect();
    context.mock.timers.tick(10_000);
    assert.equal(sockets.length, 2);
});

test("a connection that was closed on purpose stays closed", (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    const { stream, sockets, states } = streamed();
    stream.connect();
    stream.close();
    context.mock.timers.tick(60_000);
    assert.equal(sockets.length, 1);
    assert.deepEqual(states, []);
});

test("the events come from where the page comes from", () => {
    assert.equal(
        eventsAddress({ protocol: "http:", host: "localhost:8265" }),
        "ws://localhost:8265/api/events",
    );
    assert.equal(eventsAddress({ protocol: "https:", host: "example.org" }), "wss://example.org/api/events");
});

test("many changes lead to one fetch, those during a fetch to one more", async (context) => {
    context.mock.timers.enable({ apis: ["setTimeout"] });
    let fetched = 0;
    /** @type {() => void} */
    let finish = () => undefined;
    const refresher = new Refresher(() => {
        fetched += 1;
        return new Promise((resolve) => (finish = () => resolve(undefined)));
    }, 100);
    for (let change = 0; change < 5; change++) {
        refresher.soon();
    }
    context.mock.timers.tick(100);
    assert.equal(fetched, 1);
    refresher.soon();
    refresher.soon();
    context.mock.timers.tick(1000);
    assert.equal(fetched, 1);
    finish();
    await new Promise((resolve) => setImmediate(resolve));
    context.mock.timers.tick(100);
    assert.equal(fetched, 2);
    finish();
    await new Promise((resolve) => setImmediate(resolve));
    context.mock.timers.tick(1000);
    assert.equal(fetched, 2);
});
