/** Server-Sent Events as a client reads them, without what `EventSource` does besides. */

export interface ServerSentEvent {
  readonly id: string
  readonly event: string
  /** As it came: JSON, of ours. */
  readonly data: string
}

/** Until the stream ends. Comments and `retry` are left out. */
export async function* readEvents(answer: Response): AsyncGenerator<ServerSentEvent> {
  let text = ''
  for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const lines = text.slice(0, end).split('\n')
      const fields = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s))) as Record<string, string>
      text = text.slice(end + 2)
      const { id = '', event, data = '' } = fields
      if (event !== undefined) yield { id, event, data }
    }
  }
}
