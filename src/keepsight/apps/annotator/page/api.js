/**
 * The server's interface, one method a request.
 *
 * @typedef {import("./wire").Shape} Shape
 * @typedef {import("./wire").Prompt} Prompt
 * @typedef {import("./wire").Item} Item
 * @typedef {{ revision: number }} Revised
 */

/** A request that was refused, with the server's own sentence, or (status 0) did not reach it. */
export class RequestError extends Error {
    /**
     * @param {number} status
     * @param {string} sentence
     */
    constructor(status, sentence) {
        super(sentence);
        this.name = "RequestError";
        this.status = status;
    }
}

/** @param {unknown} error @returns {boolean} whether a request was only called off */
export function isAborted(error) {
    return error instanceof DOMException && error.name === "AbortError";
}

export class Api {
    /** @param {typeof fetch} fetcher */
    constructor(fetcher = (...args) => fetch(...args)) {
        this.fetcher = fetcher;
    }

    /** @returns {Promise<import("./wire").Project>} */
    project() {
        return this.#json("GET", "/api/project");
    }

    /**
     * @param {number} frame
     * @param {AbortSignal} signal
     * @returns {Promise<{ shapes: Shape[], prompts: Prompt[] }>}
     */
    scene(frame, signal) {
        return this.#json("GET", `/api/shapes/${frame}`, undefined, signal);
    }

    /**
     * What is stored of an object on a frame, an end of a track too.
     *
     * @param {number} object
     * @param {number} frame
     * @returns {Promise<Shape | null>}
     */
    async stored(object, frame) {
        const asked = `object=${object}&start=${frame}&stop=${frame + 1}`;
        const { shapes } = await this.#json("GET", `/api/shapes?${asked}`);
        return shapes[0] ?? null;
    }

    /** @returns {Promise<{ revision: number, objects: import("./wire").TimelineRow[] }>} */
    timeline() {
        return this.#json("GET", "/api/timeline");
    }

    /** @returns {Promise<{ stretches: import("./wire").Stretch[] }>} */
    review() {
        return this.#json("GET", "/api/review");
    }

    /**
     * @param {number} index
     * @param {string} fingerprint of the video, so that a picture of another one is never taken for it
     * @param {AbortSignal} signal
     * @returns {Promise<Blob>}
     */
    async frame(index, fingerprint, signal) {
        const address = `/api/frames/${index}.jpg?v=${encodeURIComponent(fingerprint)}`;
        return whole((await this.#request("GET", address, { signal })).blob());
    }

    /**
     * @param {{ kind: import("./wire").Kind, name?: string, colour?: string, tracked?: boolean }} item
     * @returns {Promise<Revised & { object: Item }>}
     */
    addObject(item) {
        return this.#json("POST", "/api/objects", item);
    }

    /**
     * @param {number} id
     * @param {Partial<Omit<Item, "id">>} change
     * @returns {Promise<Revised>}
     */
    changeObject(id, change) {
        return this.#json("PATCH", `/api/objects/${id}`, change);
    }

    /** @param {number} id @returns {Promise<Revised>} */
    removeObject(id) {
        return this.#json("DELETE", `/api/objects/${id}`);
    }

    /**
     * @param {number} id
     * @param {number} frame
     * @param {import("./prompting.js").Saying} saying
     * @returns {Promise<Revised & { shape: Shape | null, prompt: Prompt | null }>}
     */
    prompt(id, frame, saying) {
        return this.#json("POST", `/api/objects/${id}/prompt`, { frame, ...saying });
    }

    /** @param {number} id @param {number} frame @returns {Promise<Revised>} */
    takeBackPrompt(id, frame) {
        return this.#json("DELETE", `/api/objects/${id}/prompt?frame=${frame}`);
    }

    /**
     * @param {number} id
     * @param {{ frame: number, points: number[], outside?: boolean }} shape
     * @returns {Promise<Revised & { shape: Shape }>}
     */
    draw(id, shape) {
        return this.#json("PUT", `/api/objects/${id}/shape`, shape);
    }

    /** @param {number} id @param {number} frame @returns {Promise<Revised>} */
    eraseShape(id, frame) {
        return this.#json("DELETE", `/api/objects/${id}/shape?frame=${frame}`);
    }

    /**
     * @param {import("./wire").RunRequest} request
     * @returns {Promise<{ run: import("./wire").Run }>}
     */
    run(request) {
        return this.#json("POST", "/api/run", request);
    }

    /** @param {boolean} keep what is done so far, or take the whole run back @returns {Promise<unknown>} */
    cancelRun(keep) {
        return this.#json("POST", "/api/run/cancel", { keep });
    }

    /** @returns {Promise<unknown>} */
    resumeRun() {
        return this.#json("POST", "/api/run/resume");
    }

    /** @returns {Promise<unknown>} */
    forgetRun() {
        return this.#json("POST", "/api/run/forget");
    }

    /** @returns {Promise<Revised & { name: string }>} */
    undo() {
        return this.#json("POST", "/api/undo");
    }

    /** @returns {Promise<Revised & { name: string }>} */
    redo() {
        return this.#json("POST", "/api/redo");
    }

    /** @param {number} object @returns {Promise<unknown>} */
    bothWays(object) {
        return this.#json("POST", "/api/review/both-ways", { object });
    }

    /**
     * @param {import("./wire").ExportFormat} format
     * @param {AbortSignal} signal
     * @returns {Promise<{ blob: Blob, name: string | null }>} the file and the name the server gives it
     */
    async exportFile(format, signal) {
        const response = await this.#request("GET", `/api/export?format=${format}`, { signal });
        const blob = await whole(response.blob());
        return { blob, name: fileName(response.headers.get("Content-Disposition")) };
    }

    /**
     * @param {import("./wire").ImportFormat} format
     * @param {Blob} file
     * @returns {Promise<Revised & { objects: number, shapes: number, passed_over: number }>}
     */
    async importFile(format, file) {
        const headers = { "Content-Type": "application/octet-stream" };
        const options = { headers, body: file };
        return whole((await this.#request("POST", `/api/import?format=${format}`, options)).json());
    }

    /**
     * @param {string} method
     * @param {string} address
     * @param {object} [content]
     * @param {AbortSignal} [signal]
     * @returns {Promise<any>}
     */
    async #json(method, address, content, signal) {
        /** @type {RequestInit} */
        const options = content ? { headers: { "Content-Type": "application/json" } } : {};
        if (content) {
            options.body = JSON.stringify(content);
        }
        if (signal) {
            options.signal = signal;
        }
        return whole((await this.#request(method, address, options)).json());
    }

    /**
     * @param {string} method
     * @param {string} address
     * @param {RequestInit} options
     * @returns {Promise<Response>}
     */
    async #request(method, address, options) {
        let response;
        try {
            response = await this.fetcher(address, { method, credentials: "same-origin", ...options });
        } catch (error) {
            if (isAborted(error)) {
                throw error;
            }
            throw new RequestError(0, "The server does not answer. Is `keepsight annotate` still running?");
        }
        if (!response.ok) {
            throw new RequestError(response.status, await sentenceOf(response));
        }
        return response;
    }
}

/**
 * What a server that ends in the middle of its answer leaves is told in our words, not in the browser's.
 *
 * @template T
 * @param {Promise<T>} reading of an answer that has begun to come
 * @returns {Promise<T>}
 */
async function whole(reading) {
    try {
        return await reading;
    } catch (error) {
        if (isAborted(error)) {
            throw error;
        }
        throw new RequestError(0, "The server's answer broke off. Is `keepsight annotate` still running?");
    }
}

/**
 * @param {Response} response that refuses
 * @returns {Promise<string>}
 */
async function sentenceOf(response) {
    const text = await response.text().catch(() => "");
    try {
        const { error } = JSON.parse(text);
        if (typeof error === "string") {
            return error;
        }
    } catch {
        // Not of this server's making; said below.
    }
    return `The server refused (${response.status} ${response.statusText}).`;
}

/**
 * @param {string | null} disposition the header Content-Disposition
 * @returns {string | null}
 */
export function fileName(disposition) {
    const encoded = /filename\*=(?:UTF-8'')?([^;]+)/i.exec(disposition ?? "");
    const plain = /filename="?([^";]+)"?/i.exec(disposition ?? "");
    return encoded ? decodeURIComponent(encoded[1]) : plain ? plain[1] : null;
}
