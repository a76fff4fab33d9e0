import { ArrowDown } from 'lucide'
import { formatNumber, t } from '../i18n.ts'
import { Icon } from '../ui/icon.tsx'

/** Leads back to the end of the list, and says how much has come there meanwhile. */
export function ToNewest({ count, onPress }: { count: number; onPress(): void }) {
  return (
    <button
      type="button"
      class="to-newest"
      aria-label={count > 0 ? t('messages:toNewestOf', { count }) : t('messages:toNewest')}
      onClick={onPress}
    >
      <Icon of={ArrowDown} />
      {count > 0 && <span class="to-newest-count">{formatNumber(count)}</span>}
    </button>
  )
}
