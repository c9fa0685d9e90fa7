/** The small square of a profile picture. It runs in a thread: while a picture is decoded nothing else would get a turn. */
import { buffer } from 'node:stream/consumers'
import { keepThumbnail, pictureIn } from '../domain/pictures.ts'
import { MAX_PICTURE_BYTES } from '../limits.ts'
import { makeThumbnail } from './contracts.ts'

export const runMakeThumbnail = makeThumbnail.handle(
  async ({ input: { userId, image }, databases: { main }, files, log }) => {
    const name = pictureIn(image)
    const picture = name === null ? null : await files.get(name)
    if (picture === null) return { thumbnail: null }
    const bytes = await buffer(picture.stream)
    // Here and not above: clones and other jobs need no decoders.
    const { decode } = await import('./pixels.ts')
    const { encodeSquare } = await import('./square.ts')
    const decoded = decode(bytes, picture.type, log)
    if (decoded === null) return { thumbnail: null }
    const { url } = await files.put(encodeSquare(decoded), { maxBytes: MAX_PICTURE_BYTES, accept: ['image/png'] })
    await keepThumbnail(main, userId, { image, thumbnail: url })
    return { thumbnail: url }
  },
)
