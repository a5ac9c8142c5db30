/**
 * The server's events, over a WebSocket that is opened again when it breaks.
 *
 * @typedef {import("./wire").ServerEvent} ServerEvent
 */

const FIRST_PAUSE = 500; // milliseconds before the first new try; doubled up to
const LONGEST_PAUSE = 5000;

export class EventStream {
    #pause = FIRST_PAUSE;
    #closed = false;
    /** @type {WebSocket | null} */
    #socket = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    #timer;

    /**
     * @param {object} options
     * @param {() => WebSocket} options.open
     * @param {(event: ServerEvent) => void} options.onevent
     * @param {(live: boolean) => void} options.onstate
     */
    constructor({ open, onevent, onstate }) {
        this.open = open;
        this.onevent = onevent;
        this.onstate = onstate;
    }

    /** Connects, and tries again whenever it fails; calling it again tries at once. */
    connect() {
        clearTimeout(this.#timer);
        const old = this.#socket;
        if (old && old.readyState <= 1) {
            return;
        }
        const socket = this.open();
        this.#socket = socket;
        socket.onmessage = (message) => this.#take(String(message.data));
        socket.onclose = () => {
            if (this.#socket === socket && !this.#closed) {
                this.#retry();
            }
        };
    }

    close() {
        this.#closed = true;
        clearTimeout(this.#timer);
        this.#socket?.close();
    }

    #retry() {
        this.onstate(false);
        this.#timer = setTimeout(() => this.connect(), this.#pause);
        this.#pause = Math.min(LONGEST_PAUSE, 2 * this.#pause);
    }

    /** @param {string} text */
    #take(text) {
        /** @type {ServerEvent} */
        const event = JSON.parse(text);
        if (event.type === "hello") {
            this.#pause = FIRST_PAUSE;
            this.onstate(true);
        }
        this.onevent(event);
    }
}

/**
 * @param {{ protocol: string, host: string }} location of the page
 * @returns {string}
 */
export function eventsAddress({ protocol, host }) {
    return `${protocol === "https:" ? "wss" : "ws"}://${host}/api/events`;
}
