from evenkeel.rules.indicators.window import WINDOW_BARS, Candle, Window, window_after


def test_no_more_candles_are_kept_than_are_looked_at():
    window = Window()
    for price in range(100):
        window = window_after(window, open_points=price, high_points=price + 2, low_points=price - 2, close_points=price + 1)
    assert len(window.candles) == WINDOW_BARS
    assert window.candles[-1] == Candle(99, 101, 97, 100)
    assert window.candles[0].open_points == 100 - WINDOW_BARS
