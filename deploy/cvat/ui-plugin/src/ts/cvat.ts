// What this plugin touches of CVAT's client, and nothing else. Types only: they vanish in CVAT's build.
// The CVAT file that each was read in stands above it; `core` is cvat-core/src, `ui` is cvat-ui/src.

// core/enums.ts
export type ShapeType =
    'rectangle' | 'polygon' | 'polyline' | 'points' | 'ellipse' | 'cuboid' | 'skeleton' | 'mask';
export type Source = 'manual' | 'semi-auto' | 'auto' | 'file' | 'Ground truth' | 'consensus';

// core/server-response-types.ts
export interface AttributeValue {
    spec_id: number;
    value: string;
}

interface SerializedObject {
    id?: number | undefined; // on the server; absent until saved
    clientID?: number | undefined; // in this browser; an object that is committed anew gets a new one
    label_id: number;
    group: number; // 0 is none
    frame: number;
    source: Source;
    attributes: AttributeValue[];
}

export interface SerializedTag extends SerializedObject {}

export interface SerializedShape extends SerializedObject {
    type: ShapeType;
    points?: number[];
    occluded: boolean;
    outside: boolean;
    rotation: number; // degrees, about the centre; rectangles and ellipses only
    z_order: number;
    score?: number;
    elements: unknown[];
}

// Every entry is a keyframe. Mutable attributes sit here, the others on the track.
export interface Keyframe {
    id?: number | undefined;
    frame: number;
    type: ShapeType;
    points?: number[];
    occluded: boolean;
    outside: boolean;
    rotation: number;
    z_order: number;
    attributes: AttributeValue[];
}

export interface SerializedTrack extends SerializedObject {
    shapes: Keyframe[];
    elements: unknown[];
}

export interface Collection {
    shapes: SerializedShape[];
    tracks: SerializedTrack[];
    tags: SerializedTag[];
}

// core/labels.ts
export interface Attribute {
    id?: number | undefined;
    mutable: boolean;
}

export interface Label {
    id?: number | undefined;
    attributes: Attribute[];
}

// core/object-state.ts: an object as it is seen on one frame, interpolated where it has no keyframe.
export interface ObjectState {
    clientID: number | null;
    objectType: 'shape' | 'track' | 'tag' | 'interval';
    shapeType: ShapeType | null;
    points: number[] | null;
    rotation: number | null;
    occluded: boolean;
    outside: boolean;
    hidden: boolean;
    lock: boolean;
    zOrder: number;
}

// core/session.ts, core/frames.ts. A task has no `taskId`; that is how a job is told from one.
export interface Job {
    id: number;
    taskId: number;
    startFrame: number;
    stopFrame: number; // the last frame of the job, inclusive
    dimension: '2d' | '3d';
    labels: Label[];
    annotations: {
        get(frame: number, allTracks: boolean, filters: object[]): Promise<ObjectState[]>;
        export(): Promise<Collection>;
    };
    frames: {
        frameNumbers(): Promise<number[]>; // deleted frames are among them
        get(frame: number): Promise<{ deleted: boolean }>;
    };
}

// core/ml-model.ts: a function of CVAT's lambda manager.
export interface Model {
    id: string | number;
    name: string;
    kind: string;
    supportedShapeTypes?: ShapeType[] | undefined;
}

// core/lambda-manager.ts
export interface PlainShape {
    type: ShapeType;
    points: number[];
}

export type TrackerRequest =
    | { type: 'init_tracking'; job: number; frame: number; shapes: PlainShape[] }
    | { type: 'track'; job: number; frame: number; states: unknown[] };

export interface Lambda {
    list(): Promise<{ models: Model[] }>;
    call(task: number, model: Model, request: TrackerRequest): Promise<unknown>;
}

// core/index.ts
export interface Core {
    lambda: Lambda;
    actions: { register(action: object): Promise<void> };
}

// core/annotations-actions/base-action.ts. Values may be functions of the job. A number's are min, max, step.
export type ParameterSource<T> = T | ((session: { instance: Job }) => T);

export interface ActionParameter {
    type: 'select' | 'number' | 'checkbox';
    values: ParameterSource<string[]>;
    defaultValue: ParameterSource<string>;
}

export type ActionParameters = Record<string, ActionParameter>;

// core/annotations-actions/base-collection-action.ts
export interface ActionInput {
    collection: Collection;
    frameData: { width: number; height: number; number: number };
    onProgress(message: string, percent: number): void;
    cancelled(): boolean;
}

export interface ActionOutput {
    created: Collection;
    deleted: Collection;
}

// ui/components/plugins-entrypoint.tsx; the store's shape is ui/reducers/models-reducer.ts. Since what it
// holds is the user interface's own affair, every part of it is taken as possibly missing.
export interface Store {
    getState(): { models?: { trackers?: Model[] } };
}

export interface BuilderArguments {
    core: Core;
    store?: Store;
}

export type Builder = (given: BuilderArguments) => { name: string; destructor: () => void };
