// What CVAT's user interface meets: an event, a builder, an action under its name.
import assert from 'node:assert/strict';
import { before, beforeEach, it } from 'node:test';

import type { TrackerAction } from '../src/ts/action';
import type { Builder, Store } from '../src/ts/cvat';
import { FakeCore, KEEPSIGHT } from './fake/core';

const page = new EventTarget() as EventTarget & { cvatUI?: { registerComponent(builder: Builder): void } };
let builders: Builder[] = [];

before(async () => {
    Object.assign(globalThis, { window: page });
    page.cvatUI = { registerComponent: (builder) => builders.push(builder) };
    await import('../src/ts/index');
    page.dispatchEvent(new Event('plugins.ready'));
    page.dispatchEvent(new Event('plugins.ready'));
});

let core: FakeCore;
beforeEach(() => {
    core = new FakeCore();
});

it('the builder is handed over once', () => assert.equal(builders.length, 1));

it("the action is registered under the name that CVAT's own has", () => {
    const { name } = builders[0]!({ core });
    assert.equal(name, 'keepsight tracker');
    assert.deepEqual(
        core.registered.map((action) => (action as TrackerAction).name),
        ['Segment Anything 2: Tracker'],
    );
});

it('the trackers to choose from are those that the page knows at that moment', () => {
    const trackers = [KEEPSIGHT];
    const store: Store = { getState: () => ({ models: { trackers } }) };
    builders[0]!({ core, store });
    const choices = (): unknown => (core.registered[0] as TrackerAction).parameters['Tracker']?.values;
    assert.equal(choices(), undefined);
    trackers.push({ ...KEEPSIGHT, id: 'other', name: 'Other' });
    assert.deepEqual(choices(), [KEEPSIGHT.name, 'Other']);
});

it('a page without a store, or with another one than expected, has no choice of trackers', () => {
    for (const store of [undefined, { getState: () => ({}) }, { getState: () => ({ models: {} }) }]) {
        core = new FakeCore();
        builders[0]!(store ? { core, store } : { core });
        assert.ok(!('Tracker' in (core.registered[0] as TrackerAction).parameters));
    }
});

it('an action of this name that is there already is no reason to fail', async (context) => {
    const said = context.mock.method(console, 'error', () => undefined);
    core.actions.register = async () => {
        throw new Error('Action name must be unique');
    };
    builders[0]!({ core });
    await new Promise(setImmediate);
    assert.match(String(said.mock.calls[0]?.arguments[0]), /is not registered/);
});
