/** Keys of the page: each goes to what has the focus, to the stage's cross, or to a command. */

import { commandAt, isForElement, keyOf } from "./commands.js";

/**
 * @param {object} parts
 * @param {import("./stage.js").Stage} parts.stage
 * @param {HTMLElement} parts.surface the stage's element
 * @param {import("./objects.js").ObjectList} parts.objects
 * @param {(id: string) => void} parts.run a command
 * @param {(place: number) => void} parts.selectPlace in the list, from 0
 */
export function listenToKeys({ stage, surface, objects, run, selectPlace }) {
    let before = ""; // what the field that has the focus showed when it got it
    /** @param {KeyboardEvent} event */
    const onKey = (event) => {
        const target = event.target instanceof HTMLElement ? event.target : document.body;
        const key = keyOf(event);
        if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) {
            return;
        }
        if (isForElement({ tagName: target.tagName, type: target.getAttribute("type") ?? "" }, key)) {
            if (key === "Escape") {
                // What was typed and not taken over is gone: the field shows again what it did.
                if (target instanceof HTMLInputElement) {
                    target.value = before;
                }
                target.blur();
            }
            return;
        }
        const onStage = target === surface || target === document.body;
        if (
            onStage &&
            (stage.cross.take(event) || (event.key === "Tab" && objects.move(event.shiftKey ? -1 : 1)))
        ) {
            event.preventDefault();
            return;
        }
        if (/^[1-9]$/.test(key)) {
            selectPlace(Number(key) - 1);
            return;
        }
        if (key === " ") {
            hold(stage, event);
            return;
        }
        const command = commandAt(key);
        if (command && !(event.repeat && !command.repeats)) {
            event.preventDefault();
            run(command.id);
        } else if (command) {
            event.preventDefault();
        }
    };
    document.addEventListener("keydown", onKey);
    document.addEventListener("focusin", ({ target }) => {
        before = target instanceof HTMLInputElement ? target.value : "";
    });
    document.addEventListener("keyup", (event) => {
        if (event.key === " " && stage.gestures.panning) {
            stage.gestures.panning = false;
            surface.classList.remove("panning");
            // Space by itself plays; with the mouse it moves the picture.
            if (!stage.gestures.panned) {
                run("play");
            }
        }
    });
    addEventListener("blur", () => {
        stage.gestures.panning = false;
        surface.classList.remove("panning");
    });
    giveFocusBack(surface);
    giveChoicesBack(surface);
}

/**
 * @param {import("./stage.js").Stage} stage
 * @param {KeyboardEvent} event
 */
function hold(stage, event) {
    event.preventDefault();
    if (!event.repeat) {
        stage.gestures.panning = true;
        stage.gestures.panned = false;
        stage.parts.element.classList.add("panning");
    }
}

/**
 * A button that was pressed with the mouse does not keep the focus, so that Space and Enter stay the page's.
 *
 * @param {HTMLElement} surface
 */
function giveFocusBack(surface) {
    document.addEventListener("click", (event) => {
        const button = event.target instanceof Element ? event.target.closest("button") : null;
        if (button && event.detail > 0 && document.activeElement === button && !button.closest("dialog")) {
            surface.focus({ preventScroll: true });
        }
    });
}

/**
 * Neither does a list or a box that was chosen from with the mouse, so that letters and Space are the page's.
 * Who chooses with keys stays where they are.
 *
 * @param {HTMLElement} surface
 */
function giveChoicesBack(surface) {
    let byPointer = false;
    document.addEventListener("pointerdown", () => (byPointer = true), true);
    document.addEventListener("keydown", () => (byPointer = false), true);
    document.addEventListener("change", ({ target }) => {
        const choice =
            target instanceof HTMLSelectElement ||
            (target instanceof HTMLInputElement && ["checkbox", "radio", "range"].includes(target.type));
        if (choice && byPointer && !target.closest("dialog")) {
            surface.focus({ preventScroll: true });
        }
    });
}
