import { render } from 'preact'
import './ui/base.css'
import { App } from './app.tsx'
import { loadLocale } from './i18n.ts'
import { startSession } from './state/session.ts'
import { applyTheme } from './state/theme.ts'

applyTheme()
await loadLocale()
void startSession()
const page = document.getElementById('page')
if (page) render(<App />, page)
