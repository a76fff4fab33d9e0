import type { ComponentChildren } from 'preact'

/** One matter within a section of the settings. */
export function Card({ title, hint, children }: { title: string; hint?: string; children: ComponentChildren }) {
  return (
    <section class="settings-card" aria-label={title}>
      <h2>{title}</h2>
      {hint && <p class="quiet">{hint}</p>}
      {children}
    </section>
  )
}
