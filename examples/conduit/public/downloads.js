/** Orders the archive of one's articles without leaving the page, and shows how far it is. */

// Of `fourfold/client`, and served beside this: no file of the app's.
const { waitForJob } = await import(new URL('jobs.js', import.meta.url).href)

const box = document.querySelector('[data-download]')
if (box) {
  const form = box.querySelector('form')
  const button = form.querySelector('button')
  const bar = box.querySelector('progress')
  const state = box.querySelector('.download-state')
  const link = box.querySelector('.download-link')

  const order = async () => {
    const headers = { accept: 'application/json' }
    const answer = await fetch(form.action, { method: 'POST', headers, body: new URLSearchParams() })
    // Nobody is signed in here any more.
    if (answer.redirected) return location.assign(answer.url)
    const address = answer.headers.get('location') ?? answer.headers.get('content-location')
    if (!answer.ok || !address) throw new Error('It could not be ordered. Please try again.')
    return address
  }

  const follow = async (address) => {
    link.hidden = true
    bar.hidden = false
    const { output } = await waitForJob(address, {
      onProgress: ({ progress, message }) => {
        bar.value = progress ?? 0
        state.textContent = message ?? 'It will begin in a moment.'
      },
    })
    bar.value = 1
    state.textContent = 'Your archive is ready.'
    link.querySelector('.download-about').textContent =
      `${output.articles} ${output.articles === 1 ? 'article' : 'articles'}`
    link.hidden = false
  }

  const run = async (address) => {
    button.disabled = true
    try {
      const ordered = address ?? (await order())
      if (ordered) await follow(ordered)
    } catch (error) {
      bar.hidden = true
      state.textContent = error.message
    }
    button.disabled = false
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void run()
  })
  box.querySelector('.download-again')?.remove()
  if (box.dataset.download) void run(box.dataset.download)
}
