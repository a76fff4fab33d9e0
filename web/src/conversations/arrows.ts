/** Has the up and down keys move the focus among the fields, links and buttons of a box, in their order. */
export function moveByArrows(event: KeyboardEvent): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  const box = event.currentTarget
  if (step === undefined || !(box instanceof HTMLElement)) return
  const stops = [...box.querySelectorAll<HTMLElement>('input, [data-stop]')]
  const next = stops[stops.indexOf(document.activeElement as HTMLElement) + step]
  if (!next) return
  event.preventDefault()
  next.focus()
}
