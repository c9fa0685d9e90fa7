/** The editor's tag box: Enter makes what was typed a pill, a pill's icon takes it out again. */
const box = document.querySelector('[data-tag-box]')
if (box) {
  const input = box.querySelector('input[name="tags"]')
  const list = box.querySelector('.tag-list')
  const template = box.querySelector('template')

  const tags = () => [...list.querySelectorAll('input[name="tagList"]')].map((field) => field.value)

  const add = (text) => {
    const tag = text.trim()
    if (tag === '' || tags().includes(tag)) return
    const pill = template.content.firstElementChild.cloneNode(true)
    pill.querySelector('.tag-name').textContent = tag
    pill.querySelector('input').value = tag
    list.append(pill)
    prepare(pill)
  }

  const remove = (pill) => {
    pill.remove()
    input.focus()
  }

  const prepare = (pill) => {
    const icon = pill.querySelector('i')
    icon.removeAttribute('aria-hidden')
    icon.setAttribute('role', 'button')
    icon.setAttribute('tabindex', '0')
    icon.setAttribute('aria-label', `Remove tag ${pill.querySelector('input').value}`)
  }

  input.addEventListener('keydown', (event) => {
    if (event.isComposing || event.key !== 'Enter') return
    event.preventDefault()
    input.value.split(',').forEach(add)
    input.value = ''
  })

  list.addEventListener('click', (event) => {
    const icon = event.target.closest('i')
    if (icon) remove(icon.closest('.tag-pill'))
  })

  list.addEventListener('keydown', (event) => {
    const icon = event.target.closest('i')
    if (!icon || (event.key !== 'Enter' && event.key !== ' ')) return
    event.preventDefault()
    remove(icon.closest('.tag-pill'))
  })

  for (const pill of list.children) prepare(pill)
}
