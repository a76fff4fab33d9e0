import { navigate, place } from '../router.ts'
import { keepInTab, scope } from '../state/storage.ts'

/** Gives this tab a login of its own, beside that of the browser; the page is loaded anew for it. */
export function joinInTab(): void {
  keepInTab()
  location.replace(location.pathname)
}

/** Does what `?as=guest` of an invitation asks for: to come as somebody else than whom the browser is signed in as. */
export function heedGuestWish(): void {
  if (place.value.query.get('as') !== 'guest') return
  if (scope === 'browser') joinInTab()
  else navigate(place.value.path, { replace: true })
}
