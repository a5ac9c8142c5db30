/** Where the frame lies on the stage: its point (x, y) is seen at (x * scale + left, y * scale + top). */

const LEAST = 0.25; // of the scale at which the frame fits
const MOST = 40; // CSS pixels for a pixel of the frame
const KEPT = 48; // CSS pixels of the frame that stay on the stage

/** @typedef {{ width: number, height: number }} Size */

export class View {
    /**
     * @param {Size} frame in pixels of the frame
     * @param {Size} stage in CSS pixels
     * @param {{ scale: number, left: number, top: number, fits?: boolean }} place
     */
    constructor(frame, stage, place) {
        this.frame = frame;
        this.stage = stage;
        this.scale = place.scale;
        this.left = place.left;
        this.top = place.top;
        /** Whether the frame is to stay fitted when the stage changes. */
        this.fits = place.fits ?? false;
    }

    /**
     * The whole frame, in the middle.
     *
     * @param {Size} frame
     * @param {Size} stage
     * @returns {View}
     */
    static fitted(frame, stage) {
        const scale = fittingScale(frame, stage);
        const left = (stage.width - frame.width * scale) / 2;
        const top = (stage.height - frame.height * scale) / 2;
        return new View(frame, stage, { scale, left, top, fits: true });
    }

    /**
     * @param {Size} stage of another size
     * @returns {View} fitted if it was, otherwise with the same middle
     */
    on(stage) {
        if (this.fits) {
            return View.fitted(this.frame, stage);
        }
        const [dx, dy] = [(stage.width - this.stage.width) / 2, (stage.height - this.stage.height) / 2];
        return new View(this.frame, stage, {
            scale: this.scale,
            left: this.left + dx,
            top: this.top + dy,
        }).kept();
    }

    /**
     * @param {number} factor above 1 to come closer
     * @param {number} x what stays where it is, in CSS pixels of the stage
     * @param {number} y
     * @returns {View}
     */
    zoomed(factor, x = this.stage.width / 2, y = this.stage.height / 2) {
        const least = LEAST * fittingScale(this.frame, this.stage);
        const scale = Math.min(MOST, Math.max(least, this.scale * factor));
        const ratio = scale / this.scale;
        const place = { scale, left: x - (x - this.left) * ratio, top: y - (y - this.top) * ratio };
        return new View(this.frame, this.stage, place).kept();
    }

    /**
     * @param {number} dx in CSS pixels
     * @param {number} dy
     * @returns {View}
     */
    panned(dx, dy) {
        const place = { scale: this.scale, left: this.left + dx, top: this.top + dy };
        return new View(this.frame, this.stage, place).kept();
    }

    /** @returns {View} moved as little as needed to keep a part of the frame on the stage */
    kept() {
        const [width, height] = [this.frame.width * this.scale, this.frame.height * this.scale];
        const left = Math.min(this.stage.width - KEPT, Math.max(KEPT - width, this.left));
        const top = Math.min(this.stage.height - KEPT, Math.max(KEPT - height, this.top));
        return new View(this.frame, this.stage, { scale: this.scale, left, top });
    }

    /**
     * @param {number} x in CSS pixels of the stage
     * @param {number} y
     * @returns {[number, number]} in pixels of the frame
     */
    toFrame(x, y) {
        return [(x - this.left) / this.scale, (y - this.top) / this.scale];
    }

    /**
     * @param {number} x in pixels of the frame
     * @param {number} y
     * @returns {[number, number]} in CSS pixels of the stage
     */
    toStage(x, y) {
        return [x * this.scale + this.left, y * this.scale + this.top];
    }
}

/**
 * @param {Size} frame
 * @param {Size} stage
 */
function fittingScale(frame, stage) {
    return Math.max(1e-3, Math.min(stage.width / frame.width, stage.height / frame.height, MOST));
}
