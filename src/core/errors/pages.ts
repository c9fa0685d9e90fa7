/** What goes wrong with pages, and with baking them. */

export const pageErrors = {
  FF_PAGE_DEFINITION: {
    summary: 'A page is declared wrongly: its path is no pattern or another page has it, or there is no render.',
    retryable: false,
    httpStatus: 500,
  },
  FF_PAGE_BAKE: {
    summary: 'A page could not be baked, or `fourfold bake` was asked for something that it cannot understand.',
    retryable: false,
    httpStatus: 500,
  },
  FF_PAGE_WORKERS: {
    summary: 'No worker lives that could bake.',
    retryable: true,
    httpStatus: 503,
  },
  FF_PAGE_PERSONAL: {
    summary: 'The render of a page asked for the session or the request: a page is the same for everybody.',
    retryable: false,
    httpStatus: 500,
  },
  FF_PAGE_ROUTE: {
    summary: 'A route of the app that is to be baked failed, or this process does not serve the app.',
    retryable: true,
    httpStatus: 502,
  },
  FF_PAGE_ANSWER: {
    summary:
      'What a render answered is not for everybody, or no whole document: it sets cookies, is private, or failed.',
    retryable: false,
    httpStatus: 500,
  },
} as const
