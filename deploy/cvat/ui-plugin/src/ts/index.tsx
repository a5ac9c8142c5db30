// What CVAT's build enters: tells the user interface, once it is up, of the action.
import { ACTION_NAME, TrackerAction } from './action';
import type { Builder } from './cvat';

const builder: Builder = ({ core, store }) => {
    const action = new TrackerAction(core.lambda, () => store?.getState().models?.trackers ?? []);
    core.actions.register(action).catch((error: unknown) => {
        // CVAT Enterprise brings an action of this name; the two cannot be there together.
        console.error(`keepsight: the action "${ACTION_NAME}" is not registered.`, error);
    });
    return { name: 'keepsight tracker', destructor: () => {} };
};

function register(): void {
    (
        window as unknown as { cvatUI?: { registerComponent(builder: Builder): void } }
    ).cvatUI?.registerComponent(builder);
}

window.addEventListener('plugins.ready', register, { once: true });
