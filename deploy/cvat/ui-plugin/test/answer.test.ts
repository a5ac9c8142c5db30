// Answers of a tracker that must not reach the job.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { placesIn, statesIn } from '../src/ts/answer';
import type { ShapeType } from '../src/ts/cvat';
import { BOX, MASK, TRIANGLE } from './fake/objects';

function place(type: ShapeType, shape: unknown): number[] | null | undefined {
    return placesIn({ shapes: [shape] }, [{ type, points: [] }])[0];
}

describe('an answer is refused', () => {
    for (const answer of [
        undefined,
        null,
        'text',
        {},
        { states: 'a' },
        { states: ['a'] },
        { states: ['a', 'b', 'c'] },
    ]) {
        it(`as states of two objects: ${JSON.stringify(answer)}`, () => {
            assert.throws(() => statesIn(answer, 2), /Expected 2 states from the tracker, but got/);
        });
    }
    for (const [type, shape, said] of [
        ['mask', undefined, /but got no shape/],
        ['mask', 5, /but got no shape/],
        ['mask', { type: 'polygon', points: TRIANGLE }, /Expected a mask from the tracker, but got polygon/],
        ['rectangle', BOX, /but got no shape/],
        ['rectangle', { type: 'rectangle' }, /to be numbers/],
        ['rectangle', { type: 'rectangle', points: [1, 2, 3, '4'] }, /to be numbers/],
        ['polygon', { type: 'polygon', points: [...TRIANGLE, Number.NaN] }, /to be numbers/],
        ['polygon', { type: 'polygon', points: [...TRIANGLE, 1] }, /even count.*got 7/],
        ['mask', { type: 'mask', points: [1, 6, 1, 2, 4, 3] }, /fill its box of 8 pixels, but they fill 7/],
        ['mask', { type: 'mask', points: [1.5, 6.5, 1, 2, 4, 3] }, /fill its box/],
        ['mask', { type: 'mask', points: [-1, 9, 1, 2, 4, 3] }, /fill its box/],
        ['mask', { type: 'mask', points: [4, 4, 4, 2, 1, 3] }, /fill its box/],
        ['mask', { type: 'mask', points: [0, 0, 4, 2, 3, 3] }, /fill its box/],
        ['mask', { type: 'mask', points: [0, 0, 4, 3, 5, 2] }, /fill its box/],
    ] as const) {
        it(`as a ${type}: ${JSON.stringify(shape)}`, () => assert.throws(() => place(type, shape), said));
    }
});

describe('an object is not there', () => {
    for (const [type, points] of [
        ['rectangle', []],
        ['rectangle', [5, 5, 5, 9]],
        ['polygon', [1, 2, 3, 4]],
        ['mask', [1, 0, 0, 0, 0]],
    ] as const) {
        it(`as a ${type} of ${JSON.stringify(points)}`, () =>
            assert.equal(place(type, { type, points }), null));
    }
    it('where the answer says so', () => assert.equal(place('polygon', null), null));
});

describe('an answer is taken', () => {
    it('as it is', () => {
        for (const [type, points] of [
            ['rectangle', BOX],
            ['polygon', TRIANGLE],
            ['mask', MASK],
        ] as const) {
            const taken = place(type, { type, points });
            assert.deepEqual(taken, points);
            assert.notEqual(taken, points); // CVAT takes masks apart in place
        }
    });
    it('as the box around a turned one', () => {
        assert.deepEqual(
            place('rectangle', { type: 'rectangle', points: [5, 0, 10, 5, 5, 10, 0, 5] }),
            [0, 0, 10, 10],
        );
    });
    it('of very many points', () => {
        const points = Array.from({ length: 400_000 }, (_, index) => index % 1000);
        assert.deepEqual(place('rectangle', { type: 'rectangle', points }), [0, 1, 998, 999]);
    });
});
