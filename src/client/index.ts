/** `fourfold/client`: what runs in browsers. It imports nothing. */

export { fillFragments, fragmentsScript } from './fragments.ts'
export { jobsModule, waitForJob } from './wait-for-job.ts'
export type { JobOutput, JobState, WaitForJobOptions } from './wait-for-job.ts'
