import assert from 'node:assert/strict';
import { it } from 'node:test';

import type { Model } from '../src/ts/cvat';
import { chosenTracker, followed, titleOf, usableTrackers } from '../src/ts/trackers';
import { KEEPSIGHT } from './fake/core';

const rival: Model = { ...KEEPSIGHT, id: 'rival', name: 'Rival' };
const legacy: Model = { id: 'legacy', name: 'Legacy', kind: 'tracker' };

it('a function that declares nothing follows rectangles', () =>
    assert.deepEqual(followed(legacy), ['rectangle']));

it("the tracker of most kinds comes first, and keepsight's among equals", () => {
    const ids = (models: Model[]): unknown[] => usableTrackers(models).map(({ id }) => id);
    assert.deepEqual(ids([legacy, rival, KEEPSIGHT]), [KEEPSIGHT.id, 'rival', 'legacy']);
    assert.deepEqual(ids([legacy, { ...rival, kind: 'interactor' }]), ['legacy']);
});

it('trackers of one name are told apart, and every title leads to its tracker', () => {
    const models = [rival, { ...rival, id: 'other' }, legacy];
    assert.deepEqual(
        models.map((model) => titleOf(model, models)),
        ['Rival (rival)', 'Rival (other)', 'Legacy'],
    );
    for (const model of models) {
        assert.equal(chosenTracker(models, titleOf(model, models)), model);
    }
});
