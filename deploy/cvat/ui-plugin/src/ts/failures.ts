// Errors in sentences. CVAT's server drops what a function says of its failure: the status is all there is.

const SENTENCES: Record<number, string> = {
    0: "CVAT's server cannot be reached. Check the connection and run the action again.",
    401: 'CVAT does not know you any more. Log in again.',
    403: 'CVAT does not let you use the tracker on this job. Ask the owner of its task or organization.',
    404:
        'The tracker does not know these objects any more, or its function is not deployed: what it ' +
        'remembers expires after hours without use, and goes when its store or its model is replaced. ' +
        'Run the action again.',
    409: "Another request moved the tracker's memory of these objects meanwhile. Run the action again.",
    413:
        'The request is too large for the tracker. Track fewer objects at once, or polygons with fewer ' +
        'corners; if the frame itself is too large, whoever deployed the function can raise its limit.',
    422: "The tracker cannot read this frame's image. Exclude the frame, or replace its image.",
    429: 'The tracker is asked too much at once. Wait a little and run the action again.',
    500: 'The tracker failed. The log of its function says how.',
    502: 'The tracker does not run. Ask whoever deployed its function to start it.',
    503:
        'The tracker is not available: its function or its store is down, or its GPU has no memory left. ' +
        'Track fewer objects at once, or try again later.',
    504: 'The tracker did not answer in time. Track fewer objects at once, or run the action again.',
};

/** The error as a user should read it, with the frame that it happened on. */
export function failureAt(frame: number, error: unknown): Error {
    const stopped = `Tracking stopped at frame ${frame}, and nothing was changed. `;
    return new Error(stopped + sentenceFor(error), { cause: error });
}

function sentenceFor(error: unknown): string {
    const said = error instanceof Error ? error.message : String(error);
    const code = (error as { code?: unknown } | null)?.code;
    const status = typeof code === 'number' || typeof code === 'string' ? Number(code) : Number.NaN;
    if (status === 400) {
        // CVAT's own refusals have this status too, and their sentences do arrive.
        return (
            'CVAT or the tracker refused the request: a shape may be empty or lie outside of the frame, or ' +
            `the frame's size differs from the first one's. It said: ${said}`
        );
    }
    return SENTENCES[status] ?? said;
}
