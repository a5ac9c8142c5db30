/** What goes over the wire between the server and this page; the server's side is in `apps/annotator`. */

export type Kind = "mask" | "polygon" | "rectangle";
export type Direction = "forward" | "backward" | "both";
export type ExportFormat = "cvat" | "coco" | "davis" | "jsonl" | "overlay";
export type ImportFormat = Exclude<ExportFormat, "overlay">;

/** The video. Frames are counted from 0; `rate` is frames a second, null for images that have none. */
export interface Source {
    name: string;
    width: number;
    height: number;
    frames: number;
    rate: number | null;
    fingerprint: string;
}

export interface Model {
    name: string;
    state: "loading" | "ready" | "failed";
    error?: string | null;
}

export interface Item {
    id: number;
    name: string;
    /** "#rrggbb" */
    colour: string;
    kind: Kind;
    /** Shapes are keyframes of one track, rather than independent shapes. */
    tracked: boolean;
    shown: boolean;
    locked: boolean;
}

/**
 * One object's shape on one frame. `points` in pixels of the frame: x, y pairs of a polygon; x1, y1, x2, y2
 * of a rectangle; CVAT's run-length form of a mask. `score` and `presence` are 0 to 1, or null if unknown.
 */
export interface Shape {
    object: number;
    frame: number;
    source: "manual" | "prompted" | "auto";
    outside: boolean;
    points: number[];
    score: number | null;
    presence: number | null;
    interpolated?: boolean;
    /** What its points are, in what is seen on a frame: the object may have become another kind since. */
    kind?: Kind;
}

/** What was said by hand about an object on a frame: clicks (label 1: it, 0: not it) and perhaps a box. */
export interface Prompt {
    object: number;
    frame?: number;
    points: [number, number][];
    labels: number[];
    box: [number, number, number, number] | null;
}

export interface Run {
    id: number;
    objects: number[];
    frame: number;
    target: number;
    direction: Direction;
    model: string;
    policy: string;
    convert: boolean;
    state: "running" | "done" | "cancelled" | "interrupted";
    done: number;
    total: number;
    frame_now: number | null;
    /** Frames a second, or null before the first. */
    speed: number | null;
    /** Why it was interrupted, in its last event. */
    error?: string | null;
}

export interface Project {
    revision: number;
    source: Source;
    model: Model;
    models: string[];
    policies: string[];
    policy: string;
    objects: Item[];
    undo: string | null;
    redo: string | null;
    run: Run | null;
    unfinished: Run | null;
    /** The object that is being tracked both ways. */
    comparing: number | null;
    notes: string[];
}

/** An object's stored frames, in columns; `source` has a letter a frame: a(uto), m(anual), p(rompted). */
export interface TimelineRow {
    object: number;
    frames: number[];
    score: (number | null)[];
    presence: (number | null)[];
    source: string;
    outside: (0 | 1)[];
}

/** Frames [start, stop) that are suspected to be wrong, most of all `frame`. */
export interface Stretch {
    object: number;
    start: number;
    stop: number;
    frame: number;
    /** 0 to 1 */
    risk: number;
    reasons: string[];
}

export interface RunRequest {
    objects: number[] | "visible";
    frame: number;
    target: number;
    direction: Direction;
    model: string;
    policy: string;
    convert: boolean;
}

export type ServerEvent =
    | { type: "hello"; revision: number }
    | { type: "model"; revision: number; model: Model }
    | { type: "changed"; revision: number; objects: boolean; shapes: [number, number][] | null }
    | { type: "run"; revision: number; run: Run; shapes: Shape[]; removed: [number, number][] }
    /** `state` is there when tracking both ways has ended; without it, the ranking has merely changed. */
    | {
          type: "review";
          revision: number;
          object: number;
          state?: "done" | "cancelled" | "interrupted";
          error?: string | null;
      };
