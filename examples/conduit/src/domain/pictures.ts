/** Profile pictures that are kept here, and the small squares of them. */
import type { Executor } from '../schema.ts'

/** The name of the file that a picture's address is of; null: it is elsewhere. */
export function pictureIn(image: string | null | undefined): string | null {
  return /^\/files\/([0-9a-f]{64})$/.exec(image ?? '')?.[1] ?? null
}

/** Unless the user has another picture by now. */
export async function keepThumbnail(
  db: Executor,
  userId: number,
  { image, thumbnail }: { readonly image: string; readonly thumbnail: string },
): Promise<void> {
  await db.updateTable('users').set({ thumbnail }).where('id', '=', userId).where('image', '=', image).execute()
}
