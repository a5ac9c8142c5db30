// The action as a whole, run the way CVAT runs one.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { TrackerAction } from '../src/ts/action';
import type { Collection, Model } from '../src/ts/cvat';
import { FakeLambda, KEEPSIGHT, runAction, ServerError } from './fake/core';
import type { Running } from './fake/core';
import { FakeJob } from './fake/job';
import { BOX, keyframe, MASK, shape, track } from './fake/objects';

const SIAMESE: Model = {
    id: 'siamese',
    name: 'Siamese',
    kind: 'tracker',
    supportedShapeTypes: ['rectangle'],
};
const DETECTOR: Model = { id: 'yolo', name: 'YOLO', kind: 'detector' };

function actionFor(lambda: FakeLambda): TrackerAction {
    return new TrackerAction(lambda, () => lambda.models);
}

function to(target: number, convert = false): Running {
    return {
        parameters: { 'Target frame': String(target), 'Convert polygon shapes to tracks': String(convert) },
    };
}

/** One of everything that can be followed. */
function busyJob(): FakeJob {
    return new FakeJob({
        stop: 6,
        shapes: [shape('rectangle', 0), shape('polygon', 0), shape('mask', 0), shape('mask', 5)],
        tracks: [
            track([keyframe('rectangle', 0), keyframe('rectangle', 3)]),
            track([keyframe('polygon', 0)]),
        ],
    });
}

async function assertRefused(
    job: FakeJob,
    lambda: FakeLambda,
    frame: number,
    running: Running,
    said: RegExp,
): Promise<void> {
    const before = job.exported();
    await assert.rejects(runAction(actionFor(lambda), job, frame, running), said);
    assert.deepEqual(job.exported(), before);
    assert.equal(job.undoSteps.length, 0);
}

describe('what cannot be done is refused in a sentence, and nothing is changed', () => {
    const box = (): FakeJob => new FakeJob({ shapes: [shape('rectangle', 4)] });

    it('backward', () =>
        assertRefused(
            box(),
            new FakeLambda(),
            4,
            to(2),
            /after the current frame 4, but got 2.*forward only/,
        ));
    for (const target of ['10', '-1', '4.5']) {
        it(`to frame ${target}`, () =>
            assertRefused(
                box(),
                new FakeLambda(),
                4,
                { parameters: { 'Target frame': target } },
                /frame of this job, 0 to 9, but got/,
            ));
    }
    it('on a whole task', () => {
        const task = Object.assign(box(), { taskId: undefined });
        return assertRefused(task, new FakeLambda(), 4, to(5), /Expected a job, but got a whole task/);
    });
    it('on point clouds', () =>
        assertRefused(new FakeJob({ dimension: '3d' }), new FakeLambda(), 4, to(5), /point clouds/));
    it('without a tracker', () => {
        const lambda = new FakeLambda();
        lambda.models = [DETECTOR, { ...SIAMESE, supportedShapeTypes: ['skeleton'] }];
        return assertRefused(box(), lambda, 4, to(5), /No tracker.*Deploy keepsight's function/);
    });
    it('with a tracker that is gone', () => {
        const lambda = new FakeLambda();
        lambda.models = [KEEPSIGHT, SIAMESE];
        const action = new TrackerAction(lambda, () => [KEEPSIGHT, SIAMESE, { ...SIAMESE, name: 'Old' }]);
        const run = runAction(action, box(), 4, { parameters: { Tracker: 'Old' } });
        return assert.rejects(run, /"Old" is not deployed any more. Choose one of: .*keepsight.*, Siamese/);
    });
    it('with nothing on the frame', () =>
        assertRefused(
            box(),
            new FakeLambda(),
            3,
            to(5),
            /Nothing on frame 3 can be tracked.*rectangle, polygon, mask/,
        ));
    it('with nothing that the tracker follows', () => {
        const lambda = new FakeLambda();
        lambda.models = [SIAMESE];
        return assertRefused(
            new FakeJob({ shapes: [shape('mask', 4)] }),
            lambda,
            4,
            to(5),
            /"Siamese".*: rectangle\./,
        );
    });
    for (const [status, said] of [
        [0, /cannot be reached/],
        [400, /refused.*It said: HTTP 400/],
        [404, /does not know/],
        [409, /moved/],
        [413, /too large/],
        [422, /cannot read/],
        [500, /log/],
        [503, /not available/],
        [504, /in time/],
        [418, /HTTP 418/],
    ] as const) {
        for (const frame of [4, 6]) {
            // the first request, and one in the middle
            it(`a server that answers ${status} on frame ${frame}`, () => {
                const lambda = new FakeLambda();
                lambda.before = (request) => {
                    if (request.frame === frame) {
                        throw new ServerError(`HTTP ${status}`, status);
                    }
                };
                const whole = new RegExp(
                    `stopped at frame ${frame}, and nothing was changed.*${said.source}`,
                );
                return assertRefused(box(), lambda, 4, to(8), whole);
            });
        }
    }
    it('an answer that CVAT could not draw', () => {
        const lambda = new FakeLambda();
        lambda.after = (answer, { frame }) =>
            frame === 6 ? { ...answer, shapes: [{ type: 'polygon', points: [1, 2, 3, 4, 5, 6] }] } : answer;
        return assertRefused(box(), lambda, 4, to(8), /frame 6.*Expected a rectangle.*but got polygon/);
    });
});

describe('the request', () => {
    it('names job and frame, and hands all objects over together with their newest states', async () => {
        const lambda = new FakeLambda();
        await runAction(actionFor(lambda), busyJob(), 0, to(2));
        const count = 5; // two shapes, a mask and two tracks are on frame 0
        assert.deepEqual(
            lambda.calls.map(({ request: { type, frame, job } }) => [type, frame, job]),
            [
                ['init_tracking', 0, 7],
                ['track', 1, 7],
                ['track', 2, 7],
            ],
        );
        assert.ok(lambda.calls.every(({ task, model }) => task === 42 && model === KEEPSIGHT));
        const [first, , last] = lambda.calls.map(({ request }) => request) as [any, any, any];
        assert.deepEqual(
            first.shapes.map(({ type }: { type: string }) => type),
            ['rectangle', 'polygon', 'mask', 'rectangle', 'polygon'],
        );
        assert.deepEqual(
            last.states,
            Array.from({ length: count }, (_, index) => `${index}@1`),
        );
    });

    it('shows what the user sees: a track between keyframes where it is interpolated', async () => {
        const lambda = new FakeLambda();
        const far = BOX.map((value) => value + 40);
        const job = new FakeJob({
            tracks: [track([keyframe('rectangle', 0), keyframe('rectangle', 4, { points: far })])],
        });
        await runAction(actionFor(lambda), job, 1, to(2));
        assert.deepEqual((lambda.calls[0]?.request as any).shapes, [
            { type: 'rectangle', points: BOX.map((v) => v + 10) },
        ]);
    });

    it('leaves deleted frames out', async () => {
        const lambda = new FakeLambda();
        const job = new FakeJob({ deleted: [1, 3], shapes: [shape('rectangle', 0)] });
        await runAction(actionFor(lambda), job, 0, to(4));
        assert.deepEqual(
            lambda.calls.map(({ request }) => request.frame),
            [0, 2, 4],
        );
        assert.deepEqual(
            job
                .exported()
                .shapes.map(({ frame }) => frame)
                .sort(),
            [0, 2, 4],
        );
    });

    it('is not sent where the target is the current frame', async () => {
        const [lambda, job] = [new FakeLambda(), busyJob()];
        await runAction(actionFor(lambda), job, 0, to(0));
        assert.equal(lambda.calls.length, 0);
        assert.equal(job.undoSteps.length, 0);
    });

    it('goes to the end of the job where the form was left alone', async () => {
        const lambda = new FakeLambda();
        await runAction(actionFor(lambda), new FakeJob({ start: 3, stop: 5, shapes: [shape('mask', 3)] }), 3);
        assert.deepEqual(
            lambda.calls.map(({ request }) => request.frame),
            [3, 4, 5],
        );
    });
});

describe('who is followed', () => {
    it('neither hidden nor locked objects, nor tracks that are outside there', async () => {
        const outside = track([keyframe('rectangle', 0), keyframe('rectangle', 1, { outside: true })]);
        const later = track([keyframe('rectangle', 3)]);
        const job = new FakeJob({
            shapes: [shape('rectangle', 2), shape('rectangle', 2), shape('rectangle', 2)],
            tracks: [outside, later],
        });
        job.set(1, { lock: true });
        job.set(2, { hidden: true });
        const lambda = new FakeLambda();
        const { created } = await runAction(actionFor(lambda), job, 2, to(4));
        assert.equal((lambda.calls[0]?.request as any).shapes.length, 1);
        assert.equal(created.tracks.length, 0);
    });

    it('a track that is outside on this very frame is not', () =>
        assertRefused(
            new FakeJob({
                tracks: [track([keyframe('polygon', 0), keyframe('polygon', 2, { outside: true })])],
            }),
            new FakeLambda(),
            2,
            to(3),
            /Nothing on frame 2/,
        ));

    it('the filter is asked about nothing that cannot be on the frame', async () => {
        const asked: unknown[] = [];
        const filter = ({ clientID }: { clientID?: number | undefined }): boolean => {
            asked.push(clientID);
            return true;
        };
        const job = new FakeJob({
            shapes: [shape('mask', 2), shape('mask', 3), shape('points', 2, { points: [1, 2, 3, 4, 5, 6] })],
            tracks: [track([keyframe('polygon', 1)]), track([keyframe('polygon', 3)])],
        });
        await runAction(actionFor(new FakeLambda()), job, 2, { ...to(3), filter });
        assert.deepEqual(asked, [1, 4]);
    });

    it('only what the filter lets through, and only the object in hand', async () => {
        for (const running of [
            { only: 1 },
            { filter: (object: { clientID?: number | undefined }) => object.clientID === 1 },
        ]) {
            const lambda = new FakeLambda();
            await runAction(actionFor(lambda), busyJob(), 0, { ...to(1), ...running });
            assert.deepEqual((lambda.calls[0]?.request as any).shapes, [{ type: 'rectangle', points: BOX }]);
        }
    });

    it('the action is offered for an object in hand by the same rules', () => {
        const lambda = new FakeLambda();
        const job = busyJob();
        const [box, , mask] = job.statesOn(0) as [any, any, any];
        const offered = (state: object): boolean => actionFor(lambda).isApplicableForObject(state as any);
        assert.ok(offered(box) && offered(mask));
        for (const change of [
            { lock: true },
            { hidden: true },
            { outside: true },
            { shapeType: 'cuboid' },
            { objectType: 'tag' },
            { objectType: 'track', shapeType: 'mask' },
        ]) {
            assert.ok(!offered({ ...box, ...change }), JSON.stringify(change));
        }
        lambda.models = [SIAMESE];
        assert.ok(offered(box) && !offered(mask));
        lambda.models = []; // not known yet, or none: the error of a run says what to deploy
        assert.ok(offered(mask));
    });
});

describe('the form', () => {
    it('asks for the frame within the job, and whether to convert', () => {
        const { parameters } = actionFor(new FakeLambda());
        const job = new FakeJob({ start: 5, stop: 8 });
        assert.deepEqual(Object.keys(parameters), ['Target frame', 'Convert polygon shapes to tracks']);
        const target = parameters['Target frame'] as any;
        assert.deepEqual(target.values({ instance: job }), ['5', '8', '1']);
        assert.equal(target.defaultValue({ instance: job }), '8');
        assert.equal(parameters['Convert polygon shapes to tracks']?.defaultValue, 'false');
    });

    it('asks for the tracker where there are several', async () => {
        const lambda = new FakeLambda();
        lambda.models = [SIAMESE, DETECTOR, KEEPSIGHT];
        const { Tracker } = actionFor(lambda).parameters;
        assert.deepEqual(
            [Tracker?.type, Tracker?.values, Tracker?.defaultValue],
            ['select', [KEEPSIGHT.name, 'Siamese'], KEEPSIGHT.name],
        );
        const running = { parameters: { 'Target frame': '1', Tracker: 'Siamese' } };
        await runAction(actionFor(lambda), busyJob(), 0, running);
        assert.ok(lambda.calls.length > 0 && lambda.calls.every(({ model }) => model === SIAMESE));
        assert.deepEqual(
            (lambda.calls[0]?.request as any).shapes.map(({ type }: any) => type),
            ['rectangle', 'rectangle'],
        );
    });
});

describe('all or nothing', () => {
    it('a run is one undo step, which brings everything back', async () => {
        const job = busyJob();
        const before = job.exported();
        await runAction(actionFor(new FakeLambda()), job, 0, to(4, true));
        assert.equal(job.undoSteps.length, 1);
        assert.notDeepEqual(job.exported(), before);
        job.undo();
        assert.deepEqual(job.exported(), before);
    });

    it('cancelling changes nothing, whenever it is done', async () => {
        const polls = async (allowed: number): Promise<[Collection, number, number]> => {
            const job = busyJob();
            let asked = 0;
            await runAction(actionFor(new FakeLambda()), job, 0, {
                ...to(4),
                cancelled: () => ++asked > allowed,
            });
            return [job.exported(), job.undoSteps.length, asked];
        };
        const [, , needed] = await polls(Infinity);
        assert.ok(needed >= 6); // before the first request, before each of the frames, after the last
        for (let allowed = 0; allowed < needed; allowed += 1) {
            assert.deepEqual((await polls(allowed)).slice(0, 2), [busyJob().exported(), 0]);
        }
    });

    it('cancelling stops asking the tracker', async () => {
        const lambda = new FakeLambda();
        await runAction(actionFor(lambda), busyJob(), 0, {
            ...to(4),
            cancelled: () => lambda.calls.length >= 2,
        });
        assert.equal(lambda.calls.length, 2);
    });

    it('progress only grows, and says where the run is', async () => {
        const heard: [string, number][] = [];
        await runAction(actionFor(new FakeLambda()), busyJob(), 0, {
            ...to(4),
            onProgress: (...said) => heard.push(said),
        });
        assert.deepEqual(
            heard.map(([, percent]) => percent),
            [0, 0, 25, 50, 75],
        );
        assert.equal(heard.at(-1)?.[0], 'Tracking 5 objects: frame 4 (4 of 4)');
    });

    it('a second run of the same action starts afresh', async () => {
        const [lambda, job] = [new FakeLambda(), new FakeJob({ shapes: [shape('mask', 0)] })];
        const action = actionFor(lambda);
        await runAction(action, job, 0, to(1));
        assert.throws(
            () =>
                action.applyFilter({
                    collection: job.exported(),
                    frameData: { number: 0, width: 1, height: 1 },
                }),
            /init/,
        );
        await runAction(action, job, 0, to(3));
        assert.deepEqual(
            job
                .exported()
                .shapes.map(({ frame }) => frame)
                .sort(),
            [0, 1, 2, 3],
        );
        assert.deepEqual(job.exported().shapes.find(({ frame }) => frame === 3)?.points, [1, 7, 4, 2, 7, 3]);
        assert.deepEqual(MASK, [1, 7, 1, 2, 4, 3]);
    });
});
