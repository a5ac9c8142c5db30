// Which function of CVAT's lambda manager follows the objects.
import type { Model, ShapeType } from './cvat';

export const TRACKABLE = ['rectangle', 'polygon', 'mask'] as const;
export type TrackableType = (typeof TRACKABLE)[number];

// Where a function says nothing of shapes, CVAT treats it as a tracker of rectangles.
const UNDECLARED: ShapeType[] = ['rectangle'];

/** The kinds of shape that a tracker follows, as far as this plugin can hand them over. */
export function followed(model: Model): TrackableType[] {
    const declared = model.supportedShapeTypes ?? UNDECLARED;
    return TRACKABLE.filter((type) => declared.includes(type));
}

/** The functions that can be used: those of most kinds of shape first, keepsight's own before its equals. */
export function usableTrackers(models: Model[]): Model[] {
    const isOurs = (model: Model): number => (/keepsight/i.test(`${model.id} ${model.name}`) ? 1 : 0);
    return models
        .filter((model) => model.kind === 'tracker' && followed(model).length > 0)
        .sort((a, b) => followed(b).length - followed(a).length || isOurs(b) - isOurs(a));
}

/** What a tracker is called in the list of choices: its name, with its id where another has the same name. */
export function titleOf(model: Model, models: Model[]): string {
    const namesakes = models.filter((other) => other.name === model.name);
    return namesakes.length > 1 ? `${model.name} (${model.id})` : model.name;
}

/** The tracker that was asked for by its title, or the first where nothing was asked for. */
export function chosenTracker(models: Model[], title: string | undefined): Model {
    const usable = usableTrackers(models);
    const [first] = usable;
    if (!first) {
        throw new Error(
            'No tracker of rectangles, polygons or masks is deployed on this CVAT. ' +
                "Deploy keepsight's function (deploy/cvat in its repository), then run the action again.",
        );
    }
    if (title === undefined) {
        return first;
    }
    const wanted = usable.find((model) => titleOf(model, usable) === title);
    if (!wanted) {
        throw new Error(
            `The tracker "${title}" is not deployed any more. Choose one of: ` +
                `${usable.map((model) => titleOf(model, usable)).join(', ')}. ` +
                'If it is not offered, reload the page.',
        );
    }
    return wanted;
}
