import { signal } from '@preact/signals'

/** `system`: as the device has it. */
export type Theme = 'light' | 'dark' | 'system'

const storedAs = 'kintsugi.theme'
export const theme = signal<Theme>((localStorage.getItem(storedAs) as Theme | null) ?? 'system')

export function applyTheme(chosen?: Theme): void {
  if (chosen) {
    localStorage.setItem(storedAs, chosen)
    theme.value = chosen
  }
  if (theme.value === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme.value
}
