// Frames of a job, by their numbers within the task.
import type { Job } from './cvat';

/** The frame to track to, out of what the form holds; the job's last where the form holds nothing. */
export function targetFrame(job: Job, value: string | number | undefined): number {
    const target = Number(value ?? Number.NaN);
    if (Number.isNaN(target)) {
        return job.stopFrame;
    }
    if (!Number.isInteger(target) || target < job.startFrame || target > job.stopFrame) {
        throw new Error(
            `Expected "Target frame" to be a frame of this job, ${job.startFrame} to ${job.stopFrame}, ` +
                `but got ${value}.`,
        );
    }
    return target;
}

/** The frames after `current`, up to and with `target`, in order, without deleted ones. */
export async function framesBetween(job: Job, current: number, target: number): Promise<number[]> {
    if (target < current) {
        throw new Error(
            `Expected "Target frame" to lie after the current frame ${current}, but got ${target}. ` +
                'This action tracks forward only.',
        );
    }
    const numbers = await job.frames.frameNumbers();
    const wanted = numbers.filter((frame) => frame > current && frame <= target).sort((a, b) => a - b);
    const kept: number[] = [];
    for (const frame of wanted) {
        if (!(await job.frames.get(frame)).deleted) {
            kept.push(frame);
        }
    }
    return kept;
}

/** The first frame after `frame` that the job shows; null where there is none. */
export async function frameAfter(job: Job, frame: number): Promise<number | null> {
    const numbers = await job.frames.frameNumbers();
    for (const next of numbers.filter((number) => number > frame).sort((a, b) => a - b)) {
        if (!(await job.frames.get(next)).deleted) {
            return next;
        }
    }
    return null;
}
