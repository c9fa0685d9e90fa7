/** `/settings`: one's own account, and the way out. */
import type { FastifyInstance } from 'fastify'
import { updateUser, type User, type UserChanges } from '../domain/users.ts'
import type { Input } from '../input.ts'
import { BIO, EMAIL, IMAGE, MAX_PICTURE_BYTES, PASSWORD, PICTURE_TYPES, USERNAME } from '../limits.ts'
import type { Messages } from '../refusal.ts'
import { strictDatabaseOf } from '../requests.ts'
import { actionForm, errorMessages, profilePath } from './elements.ts'
import { field, fileField, refusingWith, type Typed } from './forms.ts'
import { html } from './html.ts'
import type { Page } from './layout.ts'
import { readFormWithPicture } from './uploads.ts'
import { mustBeSignedIn, show, visitorOf } from './visits.ts'

export function settingsRoutes(pages: FastifyInstance): void {
  const signedIn = { preHandler: mustBeSignedIn }

  pages.get('/settings', signedIn, (request, reply) => show(request, reply, settingsPage(typedOf(visitorOf(request)))))

  pages.post('/settings', signedIn, async (request, reply) => {
    const { input, typed, picture, refused } = await readFormWithPicture(request)
    // A picture that arrived is not lost when something else is wrong: its address is in the form that is shown again.
    const again = picture === null ? typed : { ...typed, image: picture.url }
    return refusingWith(
      async () => {
        const changes = readChanges(input, typed, refused)
        const image = picture === null ? changes.image : picture.url
        const user = await updateUser(strictDatabaseOf(request), visitorOf(request), { ...changes, image })
        return reply.redirect(profilePath(user.username), 303)
      },
      ({ status, errors }) => show(request, reply, settingsPage(again, errors), status),
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

function settingsPage(typed: Typed, errors?: Messages): Page {
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
      ${actionForm('/logout', 'btn btn-outline-danger', 'Or click here to logout')}
    </div>
  </div>`
  return { title: 'Settings', place: 'settings', content }
}
