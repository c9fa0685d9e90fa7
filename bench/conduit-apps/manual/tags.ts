/** Tags with a cache kept by hand: ended by whatever gives or takes a tag (`articles.ts`). */
import * as joins from '../joins/tags.ts'
import type { Store } from './store.ts'

export async function listTags(store: Store): Promise<string[]> {
  return (await store.remember('tags', () => joins.listTags(store.db))) ?? []
}
