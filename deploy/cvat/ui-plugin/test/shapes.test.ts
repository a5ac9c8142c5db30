// What a run makes of shapes that stay shapes: one per frame, held together by a group.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { TrackerAction } from '../src/ts/action';
import type { SerializedShape, ShapeType } from '../src/ts/cvat';
import { FakeLambda, moved, runAction } from './fake/core';
import type { Running } from './fake/core';
import { FakeJob } from './fake/job';
import { keyframe, POINTS, shape, track } from './fake/objects';

async function run(
    job: FakeJob,
    start: number,
    target: number,
    lambda = new FakeLambda(),
    more: Running = {},
): Promise<void> {
    const action = new TrackerAction(lambda, () => lambda.models);
    await runAction(action, job, start, { parameters: { 'Target frame': String(target) }, ...more });
}

const byFrame = (job: FakeJob): SerializedShape[] => job.exported().shapes.sort((a, b) => a.frame - b.frame);
const frames = (job: FakeJob): number[] => byFrame(job).map(({ frame }) => frame);

for (const type of ['mask', 'polygon', 'rectangle'] satisfies ShapeType[]) {
    describe(`a ${type}`, () => {
        it('is followed by one shape of its kind per frame, all of one new group with it', async () => {
            const taken = track([keyframe('rectangle', 9)], { group: 4 });
            const more = { z_order: 3, occluded: true, attributes: [{ spec_id: 3, value: 'red' }] };
            const job = new FakeJob({
                shapes: [shape(type, 2, { ...more, id: 8 }), shape(type, 7, { group: 3 })],
                tracks: [taken],
            });
            await run(job, 2, 4);
            const [first, second, third] = byFrame(job);
            assert.deepEqual([first?.id, first?.source, first?.group], [8, 'manual', 5]);
            assert.deepEqual(
                { ...second, clientID: 0 },
                shape(type, 3, {
                    ...more,
                    group: 5,
                    source: 'auto',
                    points: moved({ type, points: POINTS[type]! }, 1),
                    clientID: 0,
                }),
            );
            assert.deepEqual([third?.frame, third?.points], [4, moved({ type, points: POINTS[type]! }, 2)]);
            assert.deepEqual(frames(job), [2, 3, 4, 7]);
        });

        it('keeps the group it has', async () => {
            const job = new FakeJob({ shapes: [shape(type, 0, { group: 3 })] });
            await run(job, 0, 2);
            assert.deepEqual(
                byFrame(job).map(({ group }) => group),
                [3, 3, 3],
            );
            assert.equal(byFrame(job)[0]?.clientID, 1); // it was not touched
        });

        it('has no shape where it is not found, and is not touched where it is found nowhere', async () => {
            const lambda = new FakeLambda();
            lambda.isLost = (_, frame) => frame === 2;
            const job = new FakeJob({ shapes: [shape(type, 0)] });
            await run(job, 0, 3, lambda);
            assert.deepEqual(frames(job), [0, 1, 3]);

            lambda.isLost = () => true;
            const other = new FakeJob({ shapes: [shape(type, 0)] });
            await run(other, 0, 3, lambda);
            assert.deepEqual([frames(other), byFrame(other)[0]?.group, other.undoSteps.length], [[0], 0, 0]);
        });

        it('run again, replaces what the run before wrote, and undo brings that back', async () => {
            const job = new FakeJob({ shapes: [shape(type, 0)] });
            await run(job, 0, 4);
            const first = byFrame(job);
            await run(job, 0, 4);
            assert.deepEqual(frames(job), [0, 1, 2, 3, 4]);
            job.undo();
            assert.deepEqual(byFrame(job), first);
        });

        it('run again from a corrected frame, stays as it is up to there', async () => {
            const job = new FakeJob({ shapes: [shape(type, 0)] });
            await run(job, 0, 4);
            const earlier = byFrame(job).slice(0, 2);
            const corrected = byFrame(job)[2]!;
            job.edit(corrected.clientID!, moved({ type, points: POINTS[type]! }, 30));
            await run(job, 2, 3);
            assert.deepEqual(byFrame(job).slice(0, 2), earlier);
            assert.deepEqual(byFrame(job)[2]?.source, 'semi-auto');
            assert.deepEqual(byFrame(job)[3]?.points, moved({ type, points: POINTS[type]! }, 31));
            // The one after the target is the first run's.
            assert.deepEqual(byFrame(job)[4]?.points, moved({ type, points: POINTS[type]! }, 4));
            assert.deepEqual(frames(job), [0, 1, 2, 3, 4]);
        });

        it('run again, leaves alone what a hand has touched', async () => {
            const job = new FakeJob({ shapes: [shape(type, 0)] });
            await run(job, 0, 3);
            const touched = byFrame(job)[2]!;
            job.edit(touched.clientID!, moved({ type, points: POINTS[type]! }, 30));
            const kept = byFrame(job)[2];
            await run(job, 0, 3);
            assert.deepEqual(byFrame(job)[2], kept);
            assert.deepEqual(frames(job), [0, 1, 2, 3]);
        });
    });
}

describe('several shapes', () => {
    it('get a group each', async () => {
        const job = new FakeJob({ shapes: [shape('mask', 0), shape('mask', 0), shape('rectangle', 0)] });
        await run(job, 0, 1);
        assert.deepEqual(
            byFrame(job)
                .map(({ group }) => group)
                .sort(),
            [1, 1, 2, 2, 3, 3],
        );
    });

    it('followed one after the other, do not touch each other', async () => {
        const job = new FakeJob({ shapes: [shape('mask', 0), shape('mask', 0)] });
        await run(job, 0, 2, new FakeLambda(), { only: 1 });
        await run(job, 0, 2, new FakeLambda(), { only: 2 });
        assert.deepEqual(
            byFrame(job)
                .map(({ frame, group }) => [frame, group])
                .sort(),
            [
                [0, 1],
                [0, 2],
                [1, 1],
                [1, 2],
                [2, 1],
                [2, 2],
            ],
        );
    });

    it('of one group and label lose nothing to a run of one of them', async () => {
        const job = new FakeJob({ shapes: [shape('mask', 0, { group: 1 }), shape('mask', 0, { group: 1 })] });
        await run(job, 0, 1);
        const both = byFrame(job);
        await run(job, 0, 1, new FakeLambda(), { only: 1 });
        for (const one of both) {
            assert.ok(byFrame(job).some(({ clientID }) => clientID === one.clientID));
        }
    });

    it('of other kinds, labels or groups are not what a run wrote', async () => {
        const foreign = [
            shape('polygon', 1, { group: 1, source: 'auto' }),
            shape('mask', 1, { group: 2, source: 'auto' }),
            shape('mask', 1, { group: 1, source: 'auto', label_id: 2 }),
            shape('mask', 1, { source: 'auto' }),
        ];
        const job = new FakeJob({ shapes: [shape('mask', 0, { group: 1 }), ...foreign] });
        await run(job, 0, 1);
        assert.deepEqual(frames(job), [0, 1, 1, 1, 1, 1]);
    });
});
