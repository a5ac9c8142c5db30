/** The sheet of keys, made of the table of commands. */

import { COMMANDS, OTHER_KEYS, keyName } from "../commands.js";
import { find, make } from "../elements.js";
import { Dialog } from "./dialog.js";

export class HelpDialog extends Dialog {
    constructor() {
        super("help-dialog");
    }

    /** @override */
    prepare() {
        const place = find("help-keys", HTMLDivElement);
        if (place.children.length) {
            return;
        }
        const all = [...COMMANDS, ...OTHER_KEYS];
        for (const group of new Set(all.map((entry) => entry.group))) {
            const rows = all
                .filter((entry) => entry.group === group)
                .map(({ label, keys }) =>
                    make(
                        "div",
                        {},
                        make("dt", {}, ...keys.map((key) => make("kbd", {}, keyName(key)))),
                        make("dd", {}, label),
                    ),
                );
            place.append(make("section", {}, make("h3", {}, group), make("dl", {}, ...rows)));
        }
    }
}
