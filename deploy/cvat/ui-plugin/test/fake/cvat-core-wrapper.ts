// Stands in for CVAT's module of this name while the tests run.
import type {
    ActionInput,
    ActionOutput,
    ActionParameters,
    Collection,
    Job,
    ObjectState,
} from '../../src/ts/cvat';

export const ActionParameterType = { SELECT: 'select', NUMBER: 'number', CHECKBOX: 'checkbox' } as const;

export abstract class BaseCollectionAction {
    public abstract get name(): string;
    public abstract get parameters(): ActionParameters | null;
    public abstract init(instance: Job, parameters: Record<string, string | number>): Promise<void>;
    public abstract destroy(): Promise<void>;
    public abstract applyFilter(input: Pick<ActionInput, 'collection' | 'frameData'>): Collection;
    public abstract isApplicableForObject(state: ObjectState): boolean;
    public abstract run(input: ActionInput): Promise<ActionOutput>;
}
