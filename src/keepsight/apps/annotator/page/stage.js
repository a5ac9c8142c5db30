/** The picture with the objects on it, and what is done there. */

import { Cross } from "./cross.js";
import { Gestures } from "./gestures.js";
import { Overlay } from "./overlay.js";
import { Painter } from "./painter.js";
import { itemToDraw, selectedItem, toolRefusal } from "./state.js";
import { BoxTool } from "./tools/box.js";
import { BrushTool } from "./tools/brush.js";
import { ClickTool } from "./tools/click.js";
import { PolygonTool } from "./tools/polygon.js";
import { SelectTool } from "./tools/select.js";
import { View } from "./view.js";

/**
 * @typedef {import("./tools/tool.js").Tool} Tool
 * @typedef {import("./state.js").ToolName} ToolName
 */

const TURN = matchMedia("(prefers-reduced-motion: reduce)");

export class Stage {
    #view = View.fitted({ width: 16, height: 9 }, { width: 16, height: 9 });
    #dirty = { picture: true, overlay: true };
    #waiting = false;
    /** @type {number | null} the frame whose picture is on the canvas */
    #painted = null;

    /**
     * @param {object} parts
     * @param {HTMLElement} parts.element holds both canvases
     * @param {HTMLCanvasElement} parts.picture
     * @param {HTMLCanvasElement} parts.overlay
     * @param {import("./store.js").Store<import("./state.js").State>} parts.store
     * @param {() => import("./frames.js").FrameCache<ImageBitmap> | null} parts.frames
     * @param {import("./shape_cache.js").ShapeCache} parts.shapes
     * @param {import("./actions.js").Actions} parts.actions
     * @param {(sentence: string) => void} parts.refuse
     * @param {(sentence: string) => void} parts.say
     * @param {(frame: number) => void} parts.ondrawn
     * @param {() => void} parts.onwork a tool is about to begin
     */
    constructor(parts) {
        this.parts = parts;
        const { element, store, refuse, say, onwork } = parts;
        this.painter = new Painter(parts.picture);
        this.overlay = new Overlay(parts.overlay);
        this.tools = this.#makeTools();
        const surface = {
            element,
            view: () => this.#view,
            setView: (/** @type {View} */ view) => this.setView(view),
            tool: () => this.tool,
            refusal: (/** @type {Tool} */ tool) => this.#blind() ?? toolRefusal(store.state, tool.name),
            refuse,
            onwork,
        };
        this.gestures = new Gestures(surface);
        this.cross = new Cross(surface, { redraw: () => this.redraw("overlay"), say });
        new ResizeObserver(() => this.#resize()).observe(element);
        store.watch(["tool"], ({ tool }) => this.#pickUp(tool));
        store.watch(["project", "selected", "frame"], () => this.redraw());
        store.watch(["pending", "brush", "fresh"], () => this.redraw("overlay"));
    }

    get view() {
        return this.#view;
    }

    /** @param {View} view */
    setView(view) {
        this.#view = view;
        this.redraw();
    }

    /** @param {import("./view.js").Size} frame of another video */
    open(frame) {
        this.#view = View.fitted(frame, this.#size());
        this.redraw();
    }

    fit() {
        this.setView(View.fitted(this.#view.frame, this.#size()));
    }

    /** @returns {Tool} */
    get tool() {
        return this.tools[this.parts.store.state.tool];
    }

    /** @param {"picture" | "overlay"} [part] only this one, if named */
    redraw(part) {
        this.#dirty = {
            picture: this.#dirty.picture || part !== "overlay",
            overlay: true,
        };
        if (!this.#waiting) {
            this.#waiting = true;
            requestAnimationFrame((time) => this.#draw(time));
        }
    }

    /** @returns {string | null} why nothing can be done on the frame shown, or null */
    #blind() {
        const { frame } = this.parts.store.state;
        const failure = this.parts.frames()?.failure(frame) ?? null;
        return failure && `Frame ${frame} cannot be shown, so nothing can be drawn on it. ${failure}`;
    }

    /** @returns {Record<ToolName, Tool>} */
    #makeTools() {
        const { store, shapes, actions, refuse } = this.parts;
        const desk = {
            state: () => store.state,
            size: () => this.#view.frame,
            scene: () => shapes.get(store.state.frame),
            redraw: () => this.redraw(),
            refuse,
            actions,
        };
        return {
            select: new SelectTool(desk),
            click: new ClickTool("click", desk),
            reject: new ClickTool("reject", desk),
            box: new BoxTool(desk),
            polygon: new PolygonTool(desk),
            brush: new BrushTool("brush", desk),
            eraser: new BrushTool("eraser", desk),
        };
    }

    /** @param {ToolName} name */
    #pickUp(name) {
        for (const tool of Object.values(this.tools)) {
            if (tool.name !== name) {
                tool.abandon();
            }
        }
        this.parts.element.style.cursor = this.tools[name].cursor;
        this.redraw("overlay");
    }

    #size() {
        const { clientWidth, clientHeight } = this.parts.element;
        return { width: Math.max(1, clientWidth), height: Math.max(1, clientHeight) };
    }

    #resize() {
        this.#view = this.#view.on(this.#size());
        this.redraw();
    }

    /** @param {number} time in milliseconds */
    #draw(time) {
        this.#waiting = false;
        const dirty = this.#dirty;
        this.#dirty = { picture: false, overlay: false };
        if (dirty.picture) {
            this.#drawPicture();
        }
        this.#drawOverlay(time);
    }

    #drawPicture() {
        const { store, frames, shapes, ondrawn } = this.parts;
        const { frame, project, selected } = store.state;
        const picture = frames()?.get(frame) ?? null;
        const scene = shapes.get(frame);
        // Until frame and shapes are both there the ones before stay, rather than a picture with half of it.
        const failed = (frames()?.failure(frame) ?? null) !== null;
        const whole = (picture || failed) && scene;
        if (project && !whole && this.#painted !== null && this.#painted !== frame) {
            return;
        }
        this.painter.draw({
            picture: picture ?? (failed ? `Frame ${frame} cannot be shown.` : null),
            view: this.#view,
            scene,
            items: project?.objects ?? [],
            selected,
            draft: this.tool.draft,
        });
        if (whole) {
            this.#painted = frame;
            this.parts.picture.dataset.frame = String(frame);
            this.parts.picture.dataset.scale = this.#view.scale.toFixed(4);
            ondrawn(frame);
        }
    }

    /** @param {number} time in milliseconds */
    #drawOverlay(time) {
        const { state } = this.parts.store;
        const scene = this.parts.shapes.get(state.frame);
        const item = selectedItem(state);
        const shape = item ? scene?.shapes.get(item.id) : null;
        const pending = state.pending.filter(({ frame, target }) => {
            return frame === state.frame && (target.id === null || target.id === itemToDraw(state)?.id);
        });
        this.overlay.draw({
            view: this.#view,
            prompt: (item?.shown && !state.playing && scene?.prompts.get(item.id)) || null,
            pending: pending.map(({ saying }) => saying),
            named: item && shape && item.shown && !shape.outside ? { item, points: shape.points } : null,
            tool: this.tool,
            cross: this.cross.place,
            turn: TURN.matches ? 0 : time / 140,
        });
        if (pending.length) {
            this.redraw("overlay");
        }
    }
}
