// Points of shapes: x1, y1, x2, y2, ... in pixels of the frame; those of a mask are CVAT's run lengths.

/** The upright box around points, as x1, y1, x2, y2. */
export function boxAround(points: number[]): number[] {
    const xs = points.filter((_, index) => index % 2 === 0);
    const ys = points.filter((_, index) => index % 2 === 1);
    // Not Math.min(...xs): a spread of very many numbers overflows the stack.
    const least = (values: number[]): number => values.reduce((a, b) => Math.min(a, b));
    const most = (values: number[]): number => values.reduce((a, b) => Math.max(a, b));
    return [least(xs), least(ys), most(xs), most(ys)];
}

/** The upright box around a rectangle that is turned by `rotation` degrees about its centre. */
export function uprightBox(rectangle: number[], rotation: number): number[] {
    const [x1, y1, x2, y2] = boxAround(rectangle) as [number, number, number, number];
    if (rotation % 360 === 0) {
        return [x1, y1, x2, y2];
    }
    const angle = (rotation * Math.PI) / 180;
    const [cos, sin] = [Math.abs(Math.cos(angle)), Math.abs(Math.sin(angle))];
    const [halfWidth, halfHeight] = [(x2 - x1) / 2, (y2 - y1) / 2];
    const [reachX, reachY] = [halfWidth * cos + halfHeight * sin, halfWidth * sin + halfHeight * cos];
    const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
    return [x - reachX, y - reachY, x + reachX, y + reachY];
}
