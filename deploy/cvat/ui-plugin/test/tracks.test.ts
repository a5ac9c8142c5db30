// What a run makes of tracks, and of polygons that become tracks.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { TrackerAction } from '../src/ts/action';
import type { Keyframe, SerializedTrack } from '../src/ts/cvat';
import { FakeLambda, moved, runAction } from './fake/core';
import { FakeJob } from './fake/job';
import { BOX, keyframe, shape, track, TRIANGLE } from './fake/objects';

async function tracked(
    job: FakeJob,
    start: number,
    target: number,
    { lambda = new FakeLambda(), convert = false } = {},
): Promise<SerializedTrack[]> {
    const parameters = {
        'Target frame': String(target),
        'Convert polygon shapes to tracks': String(convert),
    };
    await runAction(new TrackerAction(lambda, () => lambda.models), job, start, { parameters });
    return job.exported().tracks;
}

function lambdaThatLoses(...frames: number[]): FakeLambda {
    const lambda = new FakeLambda();
    lambda.isLost = (_, frame) => frames.includes(frame);
    return lambda;
}

const box = (right: number): number[] => moved({ type: 'rectangle', points: BOX }, right);
const outline = ({ shapes }: SerializedTrack): [number, boolean, number | undefined][] =>
    shapes.map(({ frame, outside, points }) => [frame, outside, points?.[0]]);

describe('a track', () => {
    it('gets a keyframe on every tracked frame and ends after the target', async () => {
        const [only, ...others] = await tracked(
            new FakeJob({ tracks: [track([keyframe('rectangle', 0)])] }),
            0,
            3,
        );
        assert.equal(others.length, 0);
        assert.deepEqual(outline(only!), [
            [0, false, 10],
            [1, false, 11],
            [2, false, 12],
            [3, false, 13],
            [4, true, 13],
        ]);
    });

    it('does not end where no frame comes after the target, or deleted ones only', async () => {
        for (const [job, target] of [
            [new FakeJob({ stop: 3, tracks: [track([keyframe('rectangle', 0)])] }), 3],
            [new FakeJob({ stop: 5, deleted: [4, 5], tracks: [track([keyframe('rectangle', 0)])] }), 3],
        ] as const) {
            assert.deepEqual(
                (await tracked(job, 0, target))[0]?.shapes.map(({ frame }) => frame),
                [0, 1, 2, 3],
            );
        }
    });

    it('ends on a frame that CVAT looks at: keyframes on deleted frames do not count', async () => {
        const job = new FakeJob({
            deleted: [4],
            tracks: [track([keyframe('rectangle', 0), keyframe('rectangle', 4)])],
        });
        await tracked(job, 0, 3);
        assert.deepEqual(
            [3, 5, 6].map((frame) => job.statesOn(frame).map(({ outside }) => outside)),
            [[false], [true], []],
        );
    });

    it('keeps its keyframes after the target, and then does not end', async () => {
        const late = keyframe('rectangle', 7, { points: box(50) });
        const [only] = await tracked(
            new FakeJob({ tracks: [track([keyframe('rectangle', 0), late])] }),
            0,
            2,
        );
        assert.deepEqual(outline(only!), [
            [0, false, 10],
            [1, false, 11],
            [2, false, 12],
            [7, false, 60],
        ]);
    });

    it('keeps its earlier frames as they were, also when tracked from between two keyframes', async () => {
        const make = (): FakeJob =>
            new FakeJob({
                tracks: [track([keyframe('rectangle', 0), keyframe('rectangle', 8, { points: box(80) })])],
            });
        const job = make();
        await tracked(job, 4, 6);
        for (let frame = 0; frame <= 4; frame += 1) {
            assert.deepEqual(
                job.statesOn(frame)[0]?.points,
                make().statesOn(frame)[0]?.points,
                `frame ${frame}`,
            );
        }
        assert.equal(job.statesOn(5)[0]?.points?.[0], 10 + 40 + 1);
    });

    it('is outside in its last place where it is not found, and back where it is found again', async () => {
        const job = new FakeJob({ tracks: [track([keyframe('rectangle', 0)])] });
        const [only] = await tracked(job, 0, 5, { lambda: lambdaThatLoses(2, 3) });
        assert.deepEqual(outline(only!).slice(0, 6), [
            [0, false, 10],
            [1, false, 11],
            [2, true, 11],
            [3, true, 11],
            [4, false, 14],
            [5, false, 15],
        ]);
    });

    it('lost to the end is not ended twice', async () => {
        const job = new FakeJob({ tracks: [track([keyframe('rectangle', 0)])] });
        const [only] = await tracked(job, 0, 2, { lambda: lambdaThatLoses(1, 2) });
        assert.deepEqual(outline(only!), [
            [0, false, 10],
            [1, true, 10],
            [2, true, 10],
        ]);
    });

    it('gets new places in its keyframes, which keep attributes, occlusion, layer and number', async () => {
        const present = {
            id: 55,
            occluded: true,
            z_order: 3,
            rotation: 30,
            outside: true,
            attributes: [{ spec_id: 4, value: 'left' }],
        };
        const before = track([keyframe('rectangle', 0), keyframe('rectangle', 1, present)], {
            id: 9,
            group: 2,
            attributes: [{ spec_id: 3, value: 'red' }],
        });
        const [only] = await tracked(new FakeJob({ tracks: [before] }), 0, 2);
        assert.deepEqual(only?.shapes[1], {
            ...keyframe('rectangle', 1),
            ...present,
            points: box(1),
            rotation: 0,
            outside: false,
        });
        assert.deepEqual(
            [only?.id, only?.group, only?.source, only?.attributes],
            [9, 2, 'manual', before.attributes],
        );
    });

    it('new keyframes take occlusion and layer from the frame that was tracked from', async () => {
        const start = keyframe('polygon', 0, { occluded: true, z_order: 2 });
        const [only] = await tracked(new FakeJob({ tracks: [track([start])] }), 0, 1);
        const { occluded, z_order, type, attributes } = only?.shapes[1] as Keyframe;
        assert.deepEqual([occluded, z_order, type, attributes], [true, 2, 'polygon', []]);
    });

    it('a turned box is shown upright to the tracker, and stays turned where it was drawn', async () => {
        const lambda = new FakeLambda();
        const job = new FakeJob({
            tracks: [track([keyframe('rectangle', 0, { points: [0, 0, 40, 20], rotation: 90 })])],
        });
        const [only] = await tracked(job, 0, 1, { lambda });
        const shown = (lambda.calls[0]?.request as any).shapes[0].points.map((value: number) =>
            Math.round(value),
        );
        assert.deepEqual(shown, [10, -10, 30, 30]);
        assert.deepEqual(
            only?.shapes.map(({ rotation }) => rotation),
            [90, 0, 0],
        );
    });

    it('run again from a corrected frame: the frames up to there stay, the later are new', async () => {
        const job = new FakeJob({ tracks: [track([keyframe('rectangle', 0)])] });
        await tracked(job, 0, 4);
        const first = outline(job.exported().tracks[0]!);
        const corrected = job.exported().tracks[0]!;
        const again = new FakeJob({
            tracks: [
                {
                    ...corrected,
                    shapes: corrected.shapes.map((present) =>
                        present.frame === 2 ? { ...present, points: box(22) } : present,
                    ),
                },
            ],
        });
        const [only] = await tracked(again, 2, 4);
        assert.deepEqual(outline(only!), [
            ...first.slice(0, 2),
            [2, false, 32],
            [3, false, 33],
            [4, false, 34],
            [5, true, 14],
        ]);
    });
});

describe('a polygon that is to become a track', () => {
    const labels = [
        {
            id: 1,
            attributes: [
                { id: 3, mutable: false },
                { id: 4, mutable: true },
            ],
        },
        { id: 2, attributes: [] },
    ];
    const polygon = (): ReturnType<typeof shape> =>
        shape('polygon', 1, {
            id: 77,
            group: 6,
            z_order: 2,
            occluded: true,
            attributes: [
                { spec_id: 3, value: 'red' },
                { spec_id: 4, value: 'left' },
                { spec_id: 99, value: 'of no label' },
            ],
        });

    it('is deleted, and its track has everything it had', async () => {
        const job = new FakeJob({ labels, shapes: [polygon()] });
        const [only] = await tracked(job, 1, 2, { convert: true });
        assert.equal(job.exported().shapes.length, 0);
        assert.deepEqual(
            { ...only, clientID: 0 },
            {
                clientID: 0,
                label_id: 1,
                group: 6,
                frame: 1,
                source: 'auto',
                elements: [],
                attributes: [{ spec_id: 3, value: 'red' }],
                shapes: [
                    keyframe('polygon', 1, {
                        occluded: true,
                        z_order: 2,
                        attributes: [{ spec_id: 4, value: 'left' }],
                    }),
                    keyframe('polygon', 2, {
                        occluded: true,
                        z_order: 2,
                        points: moved({ type: 'polygon', points: TRIANGLE }, 1),
                    }),
                    keyframe('polygon', 3, {
                        occluded: true,
                        z_order: 2,
                        points: moved({ type: 'polygon', points: TRIANGLE }, 1),
                        outside: true,
                    }),
                ],
            },
        );
    });

    it('is one also where it is never found', async () => {
        const job = new FakeJob({ labels, shapes: [polygon()] });
        const [only] = await tracked(job, 1, 2, { convert: true, lambda: lambdaThatLoses(2) });
        assert.deepEqual(outline(only!), [
            [1, false, 10],
            [2, true, 10],
        ]);
    });

    it('boxes and masks do not become tracks with it', async () => {
        const job = new FakeJob({ labels, shapes: [shape('rectangle', 1), shape('mask', 1)] });
        assert.equal((await tracked(job, 1, 2, { convert: true })).length, 0);
        assert.equal(job.exported().shapes.length, 4);
    });
});
