/** What goes wrong with the processes of an app, and with the builds, releases and rollouts that they run. */

export const cloneErrors = {
  FF_CLONES_START: {
    summary: 'A process of the system ended, or did not say it is ready in time, while it was started.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CLONES_LISTEN: {
    summary: 'A clone cannot listen where balancers of other hosts are to reach it.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CLONES_QUARANTINED: {
    summary: 'A clone runs another build than it was started for; it gets no requests and is replaced.',
    retryable: false,
    httpStatus: 503,
  },
  FF_BUILD_FILES: {
    summary: 'The files of a build are missing, or so many that they cannot be one app.',
    retryable: false,
    httpStatus: 500,
  },
  FF_ROLLOUT_REFUSED: {
    summary: 'A rollout, or a change of the number of clones, cannot begin now or not with these settings.',
    retryable: false,
    httpStatus: 409,
  },
  FF_ROLLOUT_FAILED: {
    summary: 'A rollout ended without its build in service; the build before it serves all requests.',
    retryable: false,
    httpStatus: 500,
  },
  FF_RELEASE_REFUSED: {
    summary: 'The app cannot become a release as it is; the message names the file or package that is in the way.',
    retryable: false,
    httpStatus: 500,
  },
  FF_RELEASE_INSTALL: {
    summary: 'npm could not install the packages of a release; its own words follow.',
    retryable: false,
    httpStatus: 500,
  },
  FF_RELEASE_SIZE: {
    summary: 'The packages of a release are larger than allowed.',
    retryable: false,
    httpStatus: 500,
  },
  FF_RELEASE_CHANGED: {
    summary:
      'A release is not what was built: a file was changed, added or removed, or Node or Fourfold is another one.',
    retryable: false,
    httpStatus: 500,
  },
  FF_CLONE_WRITE_REFUSED: {
    summary: 'App code tried to write to the disc of a clone, where nothing may be kept.',
    retryable: false,
    httpStatus: 500,
  },
} as const
