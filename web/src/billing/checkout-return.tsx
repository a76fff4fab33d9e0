import { t } from '../i18n.ts'
import { place } from '../router.ts'

/** What came of a checkout, as its page led back with; null where one does not come from there. */
export const checkoutOutcome = (): string | null => place.value.query.get('checkout')

/** Says what came of a checkout. `isSettled`: the server has heard of the payment. */
export function CheckoutReturn({ isSettled }: { isSettled: boolean }) {
  const outcome = checkoutOutcome()
  if (outcome !== 'done' && outcome !== 'cancelled') return null
  const settled = isSettled ? t('billing:checkoutSettled') : t('billing:checkoutDone')
  return (
    <p class="settings-note" role="status">
      {outcome === 'done' ? settled : t('billing:checkoutCancelled')}
    </p>
  )
}
