// The annotation action: what CVAT asks of one, put together from the modules beside this one.
import { ActionParameterType, BaseCollectionAction } from 'cvat-core-wrapper';

import { changesFor, noChanges } from './changes';
import type {
    ActionInput,
    ActionOutput,
    ActionParameters,
    Collection,
    Job,
    Lambda,
    Model,
    ObjectState,
} from './cvat';
import { follow } from './following';
import { frameAfter, framesBetween, targetFrame } from './frames';
import { candidates, canFollow, targetsOf } from './targets';
import type { Target } from './targets';
import { chosenTracker, followed, titleOf, TRACKABLE, usableTrackers } from './trackers';

export const ACTION_NAME = 'Segment Anything 2: Tracker';
const TARGET_FRAME = 'Target frame';
const CONVERT = 'Convert polygon shapes to tracks';
const TRACKER = 'Tracker';

interface Run {
    job: Job;
    model: Model;
    target: number;
    convertPolygons: boolean;
}

/** Follows boxes, polygons and masks from the current frame to a later one. */
export class TrackerAction extends BaseCollectionAction {
    #lambda: Lambda;
    #knownModels: () => Model[];
    #run: Run | null = null;

    /**
     * @param lambda CVAT's lambda manager.
     * @param knownModels What the user interface knows of deployed functions, without asking the server.
     */
    public constructor(lambda: Lambda, knownModels: () => Model[]) {
        super();
        this.#lambda = lambda;
        this.#knownModels = knownModels;
    }

    public get name(): string {
        return ACTION_NAME;
    }

    public get parameters(): ActionParameters {
        return {
            ...trackerParameter(usableTrackers(this.#knownModels())),
            [TARGET_FRAME]: {
                type: ActionParameterType.NUMBER,
                values: ({ instance }) => [instance.startFrame, instance.stopFrame, 1].map(String),
                defaultValue: ({ instance }) => String(instance.stopFrame),
            },
            [CONVERT]: {
                type: ActionParameterType.CHECKBOX,
                values: ['true', 'false'],
                defaultValue: 'false',
            },
        };
    }

    public async init(instance: Job, parameters: Record<string, string | number>): Promise<void> {
        if (!Number.isInteger(instance.taskId)) {
            throw new Error(
                'Expected a job, but got a whole task. Open one of its jobs and run the action there.',
            );
        }
        if (instance.dimension === '3d') {
            throw new Error(
                'Expected images or a video, but got a job of point clouds. Those cannot be tracked.',
            );
        }
        const target = targetFrame(instance, parameters[TARGET_FRAME]);
        const { models } = await this.#lambda.list();
        const title = parameters[TRACKER];
        this.#run = {
            job: instance,
            model: chosenTracker(models, title === undefined ? undefined : String(title)),
            target,
            convertPolygons: String(parameters[CONVERT]) === 'true',
        };
    }

    public async destroy(): Promise<void> {
        this.#run = null;
    }

    public isApplicableForObject(state: ObjectState): boolean {
        const usable = usableTrackers(this.#knownModels());
        const types = TRACKABLE.filter((type) => usable.some((model) => followed(model).includes(type)));
        // With no tracker known, the action is offered all the same: its error says what to deploy.
        return canFollow(state, types.length > 0 ? types : TRACKABLE);
    }

    public applyFilter({ collection, frameData }: Pick<ActionInput, 'collection' | 'frameData'>): Collection {
        return candidates(collection, frameData.number, followed(prepared(this.#run).model));
    }

    public async run(input: ActionInput): Promise<ActionOutput> {
        const {
            collection,
            frameData: { number: start },
            onProgress,
            cancelled,
        } = input;
        const { job, model, target, convertPolygons } = prepared(this.#run);
        const frames = await framesBetween(job, start, target);
        if (frames.length === 0) {
            return noChanges();
        }
        const states = await job.annotations.get(start, false, []);
        const targets = targetsOf(collection, states, followed(model), convertPolygons);
        refuseNone(targets, start, model);
        const paths = await follow(
            targets.map(({ seed }) => seed),
            start,
            frames,
            {
                job: job.id,
                ask: (request) => this.#lambda.call(job.taskId, model, request),
                onProgress,
                cancelled,
            },
        );
        if (paths === null) {
            return noChanges();
        }
        const [closing, whole] = [await frameAfter(job, target), await job.annotations.export()];
        return changesFor(targets, paths, { start, closing, labels: job.labels, whole });
    }
}

// A choice is offered only where there is one.
function trackerParameter(usable: Model[]): ActionParameters {
    const titles = usable.map((model) => titleOf(model, usable));
    const [first] = titles;
    return first === undefined || titles.length === 1
        ? {}
        : {
              [TRACKER]: { type: ActionParameterType.SELECT, values: titles, defaultValue: first },
          };
}

function prepared(run: Run | null): Run {
    if (!run) {
        throw new Error('Expected init before this call, but got none.');
    }
    return run;
}

function refuseNone(targets: Target[], frame: number, model: Model): void {
    if (targets.length === 0) {
        throw new Error(
            `Nothing on frame ${frame} can be tracked. "${model.name}" follows objects of these kinds that ` +
                `are neither hidden, locked nor outside: ${followed(model).join(', ')}. ` +
                'Draw one, or change the filter.',
        );
    }
}
