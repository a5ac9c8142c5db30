/** Puts the page together. */

import { Actions } from "./actions.js";
import { Announcer } from "./announcer.js";
import { Api } from "./api.js";
import { handlers, listenToButtons } from "./controls.js";
import { CancelDialog } from "./dialogs/cancel.js";
import { ExportDialog, ImportDialog } from "./dialogs/exchange.js";
import { HelpDialog } from "./dialogs/help.js";
import { RunDialog } from "./dialogs/run.js";
import { find } from "./elements.js";
import { EventStream, eventsAddress } from "./events.js";
import { Film } from "./film.js";
import { listenToKeys } from "./keyboard.js";
import { Narrator } from "./narrator.js";
import { ObjectList } from "./objects.js";
import { ReviewPanel } from "./review.js";
import { ShapeCache } from "./shape_cache.js";
import { Stage } from "./stage.js";
import { firstState } from "./state.js";
import { Status } from "./status.js";
import { Store } from "./store.js";
import { Sync } from "./sync.js";
import { ThemeSwitch } from "./theme.js";
import { Timeline } from "./timeline.js";
import { Toasts } from "./toasts.js";
import { Transport } from "./transport.js";

const store = new Store(firstState());
const api = new Api();
const toasts = new Toasts(find("toasts", HTMLDivElement));
const announcer = new Announcer(find("announcer", HTMLDivElement));
const surface = find("stage", HTMLDivElement);

const shapes = new ShapeCache({
    load: (frame, signal) => api.scene(frame, signal),
    onload: (frame) => {
        if (frame === store.state.frame) {
            stage.redraw();
            objects.redraw();
            narrator.loaded();
        }
    },
    onfail: (_frame, sentence) => store.state.connection === "live" && toasts.error(sentence),
    kindOf: (object) => store.state.project?.objects.find(({ id }) => id === object)?.kind,
    count: 0,
});

const film = new Film({
    store,
    shapes,
    load: (index, fingerprint, signal) => api.frame(index, fingerprint, signal),
    onframe: () => stage.redraw(),
    onfail: (sentence) => store.state.connection === "live" && toasts.error(sentence),
});

const sync = new Sync({
    api,
    store,
    shapes,
    toasts,
    onsource: (source) => {
        shapes.clear();
        film.open(source);
        stage.open(source);
    },
    onscene: () => {
        shapes.want(store.state.frame, film.navigator.direction);
        stage.redraw();
        objects.redraw();
    },
    onrun: (run) => {
        narrator.run(run);
        film.follow(run);
    },
});

const actions = new Actions({ api, store, sync, toasts });
const refuse = (/** @type {string} */ sentence) => toasts.error(sentence);
const stage = new Stage({
    element: surface,
    picture: find("picture", HTMLCanvasElement),
    overlay: find("overlay", HTMLCanvasElement),
    store,
    frames: () => film.frames,
    shapes,
    actions,
    refuse,
    say: (sentence) => announcer.say(sentence),
    ondrawn: (frame) => film.drawn(frame),
    onwork: () => film.stay(),
});
const objects = new ObjectList(store, actions, shapes);
const narrator = new Narrator(store, shapes, announcer, toasts);
const timeline = new Timeline(store, film, (id) => actions.select(id));
const review = new ReviewPanel(
    store,
    actions,
    (frame) => film.visit(frame),
    (sentence) => announcer.say(sentence),
    (sentence) => toasts.note(sentence),
);
const transport = new Transport(store, (frame) => film.visit(frame));
const coarse = matchMedia("(pointer: coarse)");
new Status(store, (tool) => (coarse.matches && stage.tools[tool].touchHint) || stage.tools[tool].hint);
new ThemeSwitch(document.documentElement, find("theme", HTMLButtonElement), () => timeline.recolour());

const dialogs = {
    run: new RunDialog(store, actions, shapes),
    cancel: new CancelDialog(store, actions),
    export: new ExportDialog(store, api),
    import: new ImportDialog(api, sync, (sentence) => toasts.note(sentence)),
    help: new HelpDialog(),
};

const does = handlers({ store, actions, stage, film, objects, review, transport, dialogs, toasts });
const run = (/** @type {string} */ id) => does[id]?.();
const events = new EventStream({
    open: () => new WebSocket(eventsAddress(location)),
    onevent: (event) => sync.take(event),
    onstate: (live) => {
        store.set({ connection: live ? "live" : "lost" });
        if (live) {
            film.retry();
        }
    },
});

listenToButtons({ store, actions, dialogs, run, reconnect: () => events.connect() });
listenToKeys({
    stage,
    surface,
    objects,
    run,
    selectPlace: (place) => {
        const item = store.state.project?.objects[place];
        if (item) {
            actions.select(item.id);
        }
    },
});

surface.focus({ preventScroll: true });
void sync.start();
events.connect();
