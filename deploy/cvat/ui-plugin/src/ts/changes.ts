// All that a run changes, to be committed at once.
import type { ActionOutput, Collection, Label } from './cvat';
import type { Path } from './following';
import { highestGroup, shapesOf } from './shapes';
import type { Target } from './targets';
import { trackFrom, withPath } from './tracks';

/** What the job is like where the paths are written. */
export interface Surroundings {
    start: number; // the frame that was tracked from
    closing: number | null; // the frame after the last tracked one; null at the end of the job
    labels: Label[];
    whole: Collection; // every object of the job
}

export function noChanges(): ActionOutput {
    return {
        created: { shapes: [], tracks: [], tags: [] },
        deleted: { shapes: [], tracks: [], tags: [] },
    };
}

/** What is created and what is deleted for paths of targets, one path each. */
export function changesFor(targets: Target[], paths: Path[], surroundings: Surroundings): ActionOutput {
    const { start, closing, labels, whole } = surroundings;
    const { created, deleted } = noChanges();
    let freeGroup = highestGroup(whole) + 1;
    targets.forEach((target, index) => {
        const path = paths[index] ?? new Map();
        if (target.becomes === 'longer track') {
            created.tracks.push(withPath(target.object, target, start, path, closing));
            deleted.tracks.push(target.object);
        } else if (target.becomes === 'track') {
            created.tracks.push(withPath(trackFrom(target, labels), target, start, path, closing));
            deleted.shapes.push(target.object);
        } else {
            const changes = shapesOf(target, path, whole, freeGroup);
            freeGroup += target.object.group ? 0 : 1;
            created.shapes.push(...changes.created);
            deleted.shapes.push(...changes.deleted);
        }
    });
    return { created, deleted };
}
