module example.com/watermark

go 1.19
