import assert from 'node:assert/strict';
import { it } from 'node:test';

import { uprightBox } from '../src/ts/geometry';

// Turns the four corners one by one, which is the definition.
function aroundTurnedCorners([x1, y1, x2, y2]: [number, number, number, number], rotation: number): number[] {
    const angle = (rotation * Math.PI) / 180;
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
    const corners = [
        [x1, y1],
        [x2, y1],
        [x2, y2],
        [x1, y2],
    ].map(([cx, cy]) => [
        x + (cx! - x) * Math.cos(angle) - (cy! - y) * Math.sin(angle),
        y + (cx! - x) * Math.sin(angle) + (cy! - y) * Math.cos(angle),
    ]);
    const [xs, ys] = [corners.map(([cx]) => cx!), corners.map(([, cy]) => cy!)];
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

it('the upright box lies around the turned corners', () => {
    for (let rotation = -360; rotation <= 720; rotation += 15) {
        const box: [number, number, number, number] = [10, 20, 70, 45];
        const expected = aroundTurnedCorners(box, rotation);
        uprightBox(box, rotation).forEach((value, index) => {
            assert.ok(Math.abs(value - expected[index]!) < 1e-9, `${rotation} degrees`);
        });
    }
});

it('a box that is not turned stays exactly as it is, its corners in order', () => {
    assert.deepEqual(uprightBox([70.1, 45.3, 10.7, 20.9], 360), [10.7, 20.9, 70.1, 45.3]);
});
