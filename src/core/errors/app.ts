/** What goes wrong with an app as a whole: its file, its roles, its commands. */

export const appErrors = {
  FF_APP_INVALID: {
    summary: 'A file does not export an app, or the app lacks what the command needs.',
    retryable: false,
    httpStatus: 500,
  },
  FF_APP_ROLE: {
    summary: 'A host was given a role that this version does not have.',
    retryable: false,
    httpStatus: 500,
  },
  FF_APP_RUNNING: {
    summary:
      'A command cannot run beside the system that runs (or what is left of it), or without a terminal to ask on.',
    retryable: false,
    httpStatus: 500,
  },
} as const
