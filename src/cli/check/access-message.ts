/** What the check and the module that it loads into clones have in common. */

/** What reaches the check over a clone's channel. */
export interface AccessMessage {
  readonly type: 'access'
  readonly permission: string
  readonly resource: string
  /** The line of the app that did it, where the stack tells. */
  readonly by: string
}

/** The variable with the copy of the folder that the check was started in, where a clone has one. */
export const folderVariable = 'GOLDEN_RULE_FOLDER'
