package pipeline

import (
	"image"
	"image/color"
)

// shrink returns the picture at the given width with its proportions kept. Each
// new pixel is the average of all the old ones it covers (a box filter), which
// for photographs made smaller looks as good as any and is quick. A picture
// narrower than width keeps its size.
func shrink(src image.Image, width int) *image.RGBA {
	b := src.Bounds()
	width = min(width, b.Dx())
	height := max(1, (b.Dy()*width+b.Dx()/2)/b.Dx())
	dst := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		top, bottom := b.Min.Y+y*b.Dy()/height, b.Min.Y+max(y*b.Dy()/height+1, (y+1)*b.Dy()/height)
		for x := range width {
			left, right := b.Min.X+x*b.Dx()/width, b.Min.X+max(x*b.Dx()/width+1, (x+1)*b.Dx()/width)
			dst.Set(x, y, average(src, image.Rect(left, top, right, bottom)))
		}
	}
	return dst
}

// average mixes the pixels of an area. Colours are weighted by their opacity
// already (RGBA is premultiplied), so that hidden colours do not shine through.
func average(src image.Image, area image.Rectangle) color.RGBA64 {
	var r, g, b, a uint64
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			pr, pg, pb, pa := src.At(x, y).RGBA()
			r, g, b, a = r+uint64(pr), g+uint64(pg), b+uint64(pb), a+uint64(pa)
		}
	}
	n := uint64(area.Dx() * area.Dy())
	return color.RGBA64{R: uint16(r / n), G: uint16(g / n), B: uint16(b / n), A: uint16(a / n)}
}
