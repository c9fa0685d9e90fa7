/** `/settings`: one's own account, and the way out. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { updateUser, type User, type UserChanges } from '../domain/users.ts'
import type { Input } from '../input.ts'
import { BIO, EMAIL, IMAGE, MAX_PICTURE_BYTES, PASSWORD, PICTURE_TYPES, USERNAME } from '../limits.ts'
import { findDownload, type Download } from '../domain/downloads.ts'
import type { Messages } from '../refusal.ts'
import { databaseOf, strictDatabaseOf } from '../requests.ts'
import { downloadBox } from './download-box.ts'
import { actionForm, errorMessages, profilePath } from './elements.ts'
import { field, fileField, refusingWith, type Typed } from './forms.ts'
import { html } from './html.ts'
import type { Page } from './layout.ts'
import { readFormWithPicture } from './uploads.ts'
import { mustBeSignedIn, show, visitorOf } from './visits.ts'

export function settingsRoutes(pages: FastifyInstance): void {
  const signedIn = { preHandler: mustBeSignedIn }

  pages.get('/settings', signedIn, async (request, reply) => {
    const visitor = visitorOf(request)
    return show(request, reply, settingsPage(typedOf(visitor), { download: await downloadOf(request) }))
  })

  pages.post('/settings', signedIn, async (request, reply) => {
    const { input, typed, picture, refused } = await readFormWithPicture(request)
    // A picture that arrived is not lost when something else is wrong: its address is in the form that is shown again.
    const again = picture === null ? typed : { ...typed, image: picture.url }
    return refusingWith(
      async () => {
        const changes = readChanges(input, typed, refused)
        const image = picture === null ? changes.image : picture.url
        const user = await updateUser(
          strictDatabaseOf(request),
          visitorOf(request),
          { ...changes, image },
          request.ff.jobs,
        )
        return reply.redirect(profilePath(user.username), 303)
      },
      async ({ status, errors }) =>
        show(request, reply, settingsPage(again, { errors, download: await downloadOf(request) }), status),
    )
  })
}

/** A password field left empty keeps the password: browsers send every field of a form. */
function readChanges(input: Input, typed: Typed, refused: Messages): UserChanges {
  const changes = {
    image: input.nullableText('image', IMAGE),
    username: input.changedText('username', USERNAME),
    bio: input.nullableText('bio', BIO),
    email: input.changedText('email', EMAIL),
    password: typed['password'] ? input.changedText('password', PASSWORD) : undefined,
  }
  for (const message of refused['picture'] ?? []) input.refuse('picture', message)
  input.verify()
  return changes
}

function typedOf({ image, username, bio, email }: User): Typed {
  return { image: image ?? '', username, bio: bio ?? '', email }
}

function downloadOf(request: FastifyRequest): Promise<Download | undefined> {
  return findDownload(databaseOf(request), visitorOf(request).id)
}

function settingsPage(typed: Typed, { errors, download }: { errors?: Messages; download?: Download }): Page {
  const content = html`<div class="settings-page">
    <div class="container page narrow">
      <h1>Your Settings</h1>
      ${errorMessages(errors)}
      <form method="post" action="/settings" enctype="multipart/form-data" novalidate>
        ${fileField('picture', `Upload a profile picture (at most ${MAX_PICTURE_BYTES / 1024 ** 2} MiB)`, PICTURE_TYPES)}
        ${field('image', { labelled: true, placeholder: 'Or the URL of a picture elsewhere', value: typed['image'] })}
        ${field('username', { labelled: true, placeholder: 'Your Name', value: typed['username'], autocomplete: 'nickname' })}
        ${field('bio', { labelled: true, placeholder: 'Short bio about you', value: typed['bio'], rows: 8 })}
        ${field('email', { labelled: true, type: 'email', placeholder: 'Email', value: typed['email'], autocomplete: 'email' })}
        ${field('password', { labelled: true, type: 'password', placeholder: 'New Password', autocomplete: 'new-password' })}
        <button type="submit" class="btn btn-lg btn-primary">Update Settings</button>
      </form>
      <hr />
      <h2>Your articles</h2>
      ${downloadBox({ download })}
      <hr />
      ${actionForm('/logout', 'btn btn-outline-danger', 'Or click here to logout')}
    </div>
  </div>`
  return { title: 'Settings', place: 'settings', content, scripts: ['downloads.js'] }
}
