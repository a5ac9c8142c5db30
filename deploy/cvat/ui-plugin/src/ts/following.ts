// The conversation with the tracker: once with the shapes, then once per frame with what it handed back.
import { placesIn, statesIn } from './answer';
import type { PlainShape, TrackerRequest } from './cvat';
import { failureAt } from './failures';

/** Where one object is on each frame; null where it was not found. */
export type Path = Map<number, number[] | null>;

export interface Conversation {
    job: number;
    ask(request: TrackerRequest): Promise<unknown>;
    onProgress(message: string, percent: number): void;
    cancelled(): boolean;
}

/**
 * Follows all objects together from frame `start` over `frames`.
 *
 * Returns one path per seed, or null where the user cancelled. An object that is not found keeps its state,
 * so that the tracker finds it again when it returns.
 */
export async function follow(
    seeds: PlainShape[],
    start: number,
    frames: number[],
    conversation: Conversation,
): Promise<Path[] | null> {
    const { job, ask, onProgress, cancelled } = conversation;
    const objects = seeds.length === 1 ? '1 object' : `${seeds.length} objects`;
    const paths: Path[] = seeds.map(() => new Map());
    onProgress(`Showing ${objects} to the tracker`, 0);
    if (cancelled()) {
        return null;
    }
    let states = await at(start, async () => {
        const answer = await ask({ type: 'init_tracking', job, frame: start, shapes: seeds });
        return statesIn(answer, seeds.length);
    });
    for (const [done, frame] of frames.entries()) {
        const percent = Math.floor((100 * done) / frames.length);
        onProgress(`Tracking ${objects}: frame ${frame} (${done + 1} of ${frames.length})`, percent);
        if (cancelled()) {
            return null;
        }
        const handed = states;
        states = await at(frame, async () => {
            const answer = await ask({ type: 'track', job, frame, states: handed });
            placesIn(answer, seeds).forEach((place, index) => paths[index]?.set(frame, place));
            return statesIn(answer, seeds.length);
        });
    }
    return cancelled() ? null : paths;
}

async function at<T>(frame: number, step: () => Promise<T>): Promise<T> {
    try {
        return await step();
    } catch (error: unknown) {
        throw failureAt(frame, error);
    }
}
