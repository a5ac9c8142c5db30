// CVAT's core as far as an annotation action meets it: the lambda manager, and how an action is run.
import type {
    ActionOutput,
    Collection,
    Core,
    Job,
    Lambda,
    Model,
    PlainShape,
    TrackerRequest,
} from '../../src/ts/cvat';
import type { TrackerAction } from '../../src/ts/action';
import type { FakeJob } from './job';

export const KEEPSIGHT: Model = {
    id: 'pth-keepsight-sam2-tracker',
    name: 'Segment Anything 2: Tracker (keepsight)',
    kind: 'tracker',
    supportedShapeTypes: ['rectangle', 'polygon', 'mask'],
};

interface Tracked {
    seed: PlainShape;
    start: number;
    token: string; // changes with every frame, so that an old one is noticed
}

/** A tracker under which everything moves by one pixel to the right per frame. */
export class FakeLambda implements Lambda {
    public models: Model[] = [KEEPSIGHT];
    public readonly calls: { task: number; model: Model; request: TrackerRequest }[] = [];
    /** The objects that are not found, by their number in the first request. */
    public isLost: (object: number, frame: number) => boolean = () => false;
    /** Anything thrown here is what the call fails with. */
    public before: (request: TrackerRequest) => void | Promise<void> = () => undefined;
    /** Changes the answer. */
    public after: (answer: object, request: TrackerRequest) => unknown = (answer) => answer;
    #tracked: Tracked[] = [];

    public async list(): Promise<{ models: Model[] }> {
        return { models: this.models };
    }

    public async call(task: number, model: Model, request: TrackerRequest): Promise<unknown> {
        this.calls.push({ task, model, request: structuredClone(request) });
        await this.before(request);
        return this.after(request.type === 'track' ? this.#track(request) : this.#init(request), request);
    }

    #init({ shapes, frame }: TrackerRequest & { type: 'init_tracking' }): object {
        this.#tracked = shapes.map((seed, index) => ({ seed, start: frame, token: `${index}@${frame}` }));
        return { shapes, states: this.#tracked.map(({ token }) => token) };
    }

    #track({ states, frame }: TrackerRequest & { type: 'track' }): object {
        if (JSON.stringify(states) !== JSON.stringify(this.#tracked.map(({ token }) => token))) {
            throw new ServerError('409 Client Error: Conflict', 409);
        }
        this.#tracked.forEach((tracked, index) => {
            tracked.token = `${index}@${frame}`;
        });
        return {
            states: this.#tracked.map(({ token }) => token),
            shapes: this.#tracked.map(({ seed, start }, index) =>
                this.isLost(index, frame) ? null : { type: seed.type, points: moved(seed, frame - start) },
            ),
        };
    }
}

/** core/exceptions.ts: `code` is the HTTP status, 0 where there was no answer. */
export class ServerError extends Error {
    public constructor(
        message: string,
        public readonly code: number,
    ) {
        super(message);
    }
}

/** The points of a shape that moved to the right by so many pixels. */
export function moved({ type, points }: PlainShape, right: number): number[] {
    if (type !== 'mask') {
        return points.map((value, index) => (index % 2 === 0 ? value + right : value));
    }
    const [left, top, end, bottom] = points.slice(-4) as [number, number, number, number];
    return [...points.slice(0, -4), left + right, top, end + right, bottom];
}

export class FakeCore implements Core {
    public readonly registered: object[] = [];
    public constructor(public readonly lambda: FakeLambda = new FakeLambda()) {}
    public readonly actions = {
        register: async (action: object): Promise<void> => {
            this.registered.push(action);
        },
    };
}

export interface Running {
    parameters?: Record<string, string>;
    only?: number; // the client id of the object in hand; without it, all that the filters let through
    filter?: (object: { clientID?: number | undefined }) => boolean;
    cancelled?: () => boolean;
    onProgress?: (message: string, percent: number) => void;
}

/** As core/annotations-actions/base-collection-action.ts does it, without its pauses. */
export async function runAction(
    action: TrackerAction,
    job: FakeJob,
    frame: number,
    running: Running = {},
): Promise<ActionOutput> {
    const { filter = () => true, cancelled = () => false, onProgress = () => undefined } = running;
    const frameData = { width: 100, height: 80, number: frame };
    try {
        await action.init(job, asForm(action, job, running.parameters ?? {}));
        const exported = job.exported();
        const offered = running.only === undefined ? exported : keep(exported, (id) => id === running.only);
        const filtered = action.applyFilter({ collection: frozen(offered), frameData });
        const collection = keep(filtered, (id) => filter({ clientID: id }));
        const output = await action.run({ collection: frozen(collection), frameData, onProgress, cancelled });
        await job.annotations.commit(output.created, output.deleted);
        return output;
    } finally {
        await action.destroy();
    }
}

// The form fills in what the user left alone; core turns the numbers from text.
function asForm(
    action: TrackerAction,
    job: Job,
    chosen: Record<string, string>,
): Record<string, string | number> {
    const filled: Record<string, string | number> = {};
    for (const [name, { type, defaultValue }] of Object.entries(action.parameters)) {
        const initial = typeof defaultValue === 'function' ? defaultValue({ instance: job }) : defaultValue;
        const value = chosen[name] ?? initial;
        filled[name] = type === 'number' ? Number(value) : value;
    }
    return filled;
}

function keep(collection: Collection, isWanted: (clientID: number | undefined) => boolean): Collection {
    return {
        shapes: collection.shapes.filter(({ clientID }) => isWanted(clientID)),
        tracks: collection.tracks.filter(({ clientID }) => isWanted(clientID)),
        tags: collection.tags.filter(({ clientID }) => isWanted(clientID)),
    };
}

// An action that writes into what it was given fails here.
function frozen<T>(value: T): T {
    if (typeof value === 'object' && value !== null) {
        Object.values(value).forEach(frozen);
        Object.freeze(value);
    }
    return value;
}
