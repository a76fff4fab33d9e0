/** Gives the focus to the line of the open conversation, where the list is shown. */
export function focusOpenEntry(): void {
  const open = document.querySelector<HTMLElement>('[data-entry][aria-current]')
  // far from what is in view it is not drawn
  const entry = open ?? document.querySelector<HTMLElement>('[data-entry][tabindex="0"]')
  entry?.focus()
}
