// The two values that this plugin takes from CVAT's module of this name, cvat-ui/src/cvat-core-wrapper.ts.
// CVAT's build resolves the import to that file; this one stands in for it when the plugin is checked alone.
import type {
    ActionInput,
    ActionOutput,
    ActionParameters,
    Collection,
    Job,
    ObjectState,
} from '../src/ts/cvat';

export declare const ActionParameterType: {
    readonly SELECT: 'select';
    readonly NUMBER: 'number';
    readonly CHECKBOX: 'checkbox';
};

export declare abstract class BaseCollectionAction {
    public abstract get name(): string;
    public abstract get parameters(): ActionParameters | null;
    public abstract init(instance: Job, parameters: Record<string, string | number>): Promise<void>;
    public abstract destroy(): Promise<void>;
    public abstract applyFilter(input: Pick<ActionInput, 'collection' | 'frameData'>): Collection;
    public abstract isApplicableForObject(state: ObjectState): boolean;
    public abstract run(input: ActionInput): Promise<ActionOutput>;
}
