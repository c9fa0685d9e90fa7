/**
 * What Conduit answers to a request it does not grant: a status, and messages by field. The API sends it as
 * `{"errors":{"title":["can't be blank"]}}`; the pages show the same messages above the form.
 */
export type Messages = Record<string, string[]>

export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly errors: Messages

  constructor(status: number, errors: Messages) {
    super(
      Object.entries(errors)
        .map(([field, messages]) => `${field} ${messages.join(', ')}`)
        .join('; '),
    )
    this.status = status
    this.errors = errors
  }
}

export type Resource = 'article' | 'comment' | 'profile'

export const notFound = (resource: Resource | 'route'): Refusal => new Refusal(404, { [resource]: ['not found'] })
export const forbidden = (resource: Resource): Refusal => new Refusal(403, { [resource]: ['forbidden'] })
export const taken = (...fields: string[]): Refusal =>
  new Refusal(409, Object.fromEntries(fields.map((field) => [field, ['has already been taken']])))
export const badCredentials = (): Refusal => new Refusal(401, { credentials: ['invalid'] })
export const tokenMissing = (): Refusal => new Refusal(401, { token: ['is missing'] })
export const tokenInvalid = (): Refusal => new Refusal(401, { token: ['is invalid'] })
